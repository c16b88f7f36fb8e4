-- Prosody 0.12, as Debian 12 packages it, for a small community on one machine; `prosody.py` fills in the names.
pidfile = $directory .. "/prosody.pid"
data_path = $directory .. "/data"
plugin_paths = { $directory .. "/modules" }
log = { info = $directory .. "/prosody.log" }

-- Nothing here leaves the loopback interface, which is why nothing here is encrypted.
interfaces = { $address }
local_interfaces = { $address }
c2s_ports = { $client_port }
component_interfaces = { $address }
component_ports = { $component_port }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
network_settings = { nagle = false } -- an answer is not held back for 40 ms in the hope of a second one
c2s_stanza_size_limit = $max_stanza_bytes

modules_enabled = { "saslauth", "roster", "disco", "presence", "message", "iq", "offline", "ends_with_stdin" }
modules_disabled = { "s2s", "tls" }
admins = {}

$domains
$brokers
Component $component
  component_secret = $secret
