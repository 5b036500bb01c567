"""What a site has to be able to show under the GDPR, from what the node knows: it reads, and changes nothing."""
