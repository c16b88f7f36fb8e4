-- Prosody 0.12, as Debian 12 packages it, for a domain that federates; `prosody.py` fills in the names.
pidfile = $directory .. "/prosody.pid"
data_path = $directory .. "/data"
plugin_paths = { $directory .. "/modules" }
log = { info = $directory .. "/prosody.log" }

interfaces = { $address }
local_interfaces = { $address }
network_settings = { nagle = false } -- a push of the agent is not held back for 40 ms in the hope of a second one

-- Users and the component: on loopback only, which is why they are not encrypted.
c2s_ports = { $client_port }
component_interfaces = { $address }
component_ports = { $component_port }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
c2s_stanza_size_limit = $max_stanza_bytes

-- Other servers: encrypted, and believed by their certificate.
s2s_ports = { $s2s_port }
s2s_direct_tls_ports = {}
s2s_secure_auth = $secure_auth
ssl = {
  key = $directory .. "/" .. $key;
  certificate = $directory .. "/" .. $certificate;
  cafile = $directory .. "/" .. $authority;
}
unbound = { -- the name server of the demonstration; leave this out
  resolvconf = false; hoststxt = false; forward = { $name_server }; options = { ["do-not-query-localhost:"] = "no" };
}

-- What passes to and from other servers is what the agent says.
clearinghouse_agent = $component
clearinghouse_exempt = $exempt
clearinghouse_doors = { $doors}

modules_enabled = { "clearinghouse", "saslauth", "roster", "disco", "presence", "message", "iq", "offline", "ping", "tls", "ends_with_stdin"$options }
admins = {}

$domains
$rooms
$components
