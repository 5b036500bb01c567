"""Who somebody is at the hub: passwords, second factors, log-ins, tokens; never what an access request decides."""
