// What pages do beside what they do without scripts: swap a part, poll, keys. On any doubt the page is loaded whole.
(() => {
  'use strict';
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy('part', { createHTML: (text) => text })
    : { createHTML: (text) => text };
  const said = document.getElementById('said');
  let running = null;
  // The part that was swapped last: going back over it swaps it again.
  let pushed = null;

  const say = (text) => { if (said && text) { said.textContent = ''; said.textContent = text; } };

  // Where the caret is, so that typing goes on where it was.
  const place = () => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const kept = { id: at.id, name: at.getAttribute('name'), value: at.value, start: null, end: null };
    try { kept.start = at.selectionStart; kept.end = at.selectionEnd; } catch (error) { /* not a text field */ }
    return kept;
  };
  const back = (box, kept) => {
    if (!kept || document.activeElement !== document.body) return;
    let at = kept.id ? document.getElementById(kept.id) : null;
    if (!at && kept.name) at = box.querySelector(`[name="${CSS.escape(kept.name)}"]`);
    if (!at) { box.tabIndex = -1; at = box; }
    at.focus({ preventScroll: true });
    if (kept.start !== null) { try { at.setSelectionRange(kept.start, kept.end); } catch (error) { /* the same */ } }
  };
  const put = (box, text) => {
    const kept = place();
    box.innerHTML = policy.createHTML(text);
    back(box, kept);
    const word = box.querySelector('[data-say]');
    say(word && word.dataset.say);
  };

  // Gets a part of an address; null where it is unchanged; throws where the page has to be loaded whole.
  const part = async (address, id, headers, signal, body) => {
    const answer = await fetch(address, { method: body ? 'POST' : 'GET', body, headers: { 'X-Part': id, Accept: 'text/html', ...headers }, signal, credentials: 'same-origin' });
    if (answer.status === 304) return null;
    const type = answer.headers.get('Content-Type') || '';
    if (!answer.ok || answer.redirected || !type.startsWith('text/html') || answer.headers.get('X-Part') !== id) throw new Error('whole');
    return { text: await answer.text(), tag: answer.headers.get('ETag'), title: answer.headers.get('X-Title') };
  };

  const swap = async (id, address, push) => {
    const box = document.getElementById(id);
    if (!box) { location.assign(address); return; }
    if (running) running.abort();
    const mine = running = new AbortController();
    box.setAttribute('aria-busy', 'true');
    try {
      const got = await part(address, id, {}, mine.signal);
      if (mine.signal.aborted) return;
      if (got) put(box, got.text);
      if (push) { history.pushState({ part: id }, '', address); pushed = id; }
    } catch (error) {
      if (error.name !== 'AbortError') location.assign(address);
    } finally {
      if (running === mine) { running = null; box.removeAttribute('aria-busy'); }
    }
  };

  const addressOf = (form, button) => {
    const to = new URL(form.getAttribute('action') || location.pathname, location.href);
    const pairs = [...new FormData(form)].filter(([, value]) => typeof value === 'string' && value !== '');
    if (button && button.name) pairs.push([button.name, button.value]);
    to.search = new URLSearchParams(pairs).toString();
    return to.pathname + to.search;
  };

  document.addEventListener('click', (event) => {
    const link = event.target.closest && event.target.closest('a[data-live]');
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.origin !== location.origin || link.target) return;
    event.preventDefault();
    swap(link.dataset.live, link.pathname + link.search, true);
  });
  document.addEventListener('submit', (event) => {
    const form = event.target;
    // A button that leads to another page is no question for a part of this one.
    if (form.method === 'get' && form.dataset.live) {
      if (event.submitter && event.submitter.hasAttribute('formaction')) return;
      event.preventDefault();
      swap(form.dataset.live, addressOf(form, event.submitter), true);
      return;
    }
    // A form is sent once; the hub sees to it as well.
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = '1';
    setTimeout(() => delete form.dataset.sent, 5000);
  });
  document.addEventListener('change', (event) => {
    const form = event.target.form;
    if (form && form.dataset.live && form.method === 'get' && event.target.matches('select, [type=checkbox], [type=radio]')) form.requestSubmit();
  });
  // What is typed in a form with data-preview="id" is sent for that part only, to be shown and not kept.
  document.addEventListener('change', async (event) => {
    const form = event.target.form;
    const box = form && form.dataset.preview ? document.getElementById(form.dataset.preview) : null;
    if (!box || box.contains(event.target) || event.target.type === 'file') return;
    const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === 'string'));
    fields.set('act', form.dataset.act);
    if (running) running.abort();
    const mine = running = new AbortController();
    try {
      const got = await part(form.getAttribute('action'), box.id, {}, mine.signal, fields);
      if (got && !mine.signal.aborted) put(box, got.text);
    } catch (error) { /* it is said when the form is sent */ }
  });
  // A text of several lines is sent by Ctrl+Enter where it says so; Tab leaves it, as everywhere.
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || !event.target.matches('textarea[data-runs]')) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });
  // Not by loading it anew: browsers would put the ticks of the page that was left into the one that is come back to.
  window.addEventListener('popstate', (event) => {
    const id = (event.state && event.state.part) || pushed;
    if (id) swap(id, location.pathname + location.search, false); else location.reload();
  });
  window.addEventListener('pageshow', (event) => {
    for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent;
    if (event.persisted) location.reload();
  });

  // A part with data-poll="5" is asked again every 5 s, until it says data-done; data-pace in it says another pace.
  for (const box of document.querySelectorAll('[data-poll][id]')) {
    let tag = '';
    let failed = 0;
    const again = () => setTimeout(ask, Math.min(300, box.dataset.poll * 2 ** failed) * 1000);
    const ask = async () => {
      if (!box.isConnected || box.querySelector('[data-done]')) return;
      if (document.hidden) { document.addEventListener('visibilitychange', ask, { once: true }); return; }
      try {
        const got = await part(location.pathname + location.search, box.id, tag ? { 'If-None-Match': tag } : {});
        failed = 0;
        if (got) { tag = got.tag || ''; put(box, got.text); }
        const pace = box.querySelector('[data-pace]');
        if (pace) box.dataset.poll = pace.dataset.pace;
      } catch (error) { failed += 1; }
      again();
    };
    again();
  }

  // A page of a node goes blank where nobody moves or types for some minutes; a minute before it says so, and any key stays.
  const idle = document.querySelector('[data-idle]');
  if (idle) {
    let last = Date.now();
    let told = last;
    const stays = () => {
      last = Date.now();
      idle.hidden = true;
      if (last - told < 60000) return;
      told = last;
      fetch('/here', { credentials: 'same-origin' }).then((answer) => { if (answer.headers.get('X-Blank') === 'yes') location.assign(idle.dataset.leads); });
    };
    for (const sign of ['keydown', 'pointerdown', 'pointermove', 'scroll']) document.addEventListener(sign, stays, { passive: true });
    setInterval(() => {
      const left = idle.dataset.idle * 1000 - (Date.now() - last);
      if (left <= 0) location.assign(idle.dataset.leads);
      else if (left <= 60000 && idle.hidden) { idle.textContent = idle.dataset.text; idle.hidden = false; }
    }, 5000);
  }

  // Single keys, only where a page has them and its reader switched them on (WCAG 2.1.4).
  const keys = document.querySelector('[data-keys="on"]');
  if (keys) {
    document.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input:not([type=radio], [type=checkbox]), textarea, select')) return;
      const meant = [...document.querySelectorAll('[data-key]')].find((each) => each.dataset.key === event.key);
      if (!meant) return;
      event.preventDefault();
      if (meant.matches('input, textarea, select')) meant.focus(); else meant.click();
    });
  }
  for (const each of document.querySelectorAll('[data-next]')) { const ahead = new Image(); ahead.src = each.dataset.next; }
})();
