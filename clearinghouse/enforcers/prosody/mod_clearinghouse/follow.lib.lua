-- Redirection: outgoing streams that a door of a clearinghouse sends on (see-other-host), and whom they may reach then.
-- Sees what mod_clearinghouse.lua leaves global: peers, rules.
--
-- A door is known by its key.  It is asked the way and trusted with nothing else: no stanza goes to it, and its word makes
-- no other server authentic.  Where it sends us the domain's own name and key count, and so they do on every other way.

local basic = require "net.resolvers.basic";
local connect = require "net.connect".connect;
local filters = require "util.filters";
local get_service = require "core.portmanager".get_service;
local inet_pton = require "util.net".pton;
local new_outgoing = require "core.s2smanager".new_outgoing;
local sha256 = require "util.hashes".sha256;
local to_ascii = require "util.encodings".idna.to_ascii;
local x509 = require "util.x509";
local xmppstream = require "util.xmppstream";

local MAX_HOPS = 3; -- redirects in a row: RFC 6120 wants a limit, and doors send to servers
local MAX_HEARD = 65536; -- bytes that are looked at for a redirect, before a stream is there
local PORT = 5269; -- where none is named
local NS_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";

local follow = { doors = {} }; -- name -> key -> true

---- Doors

local function hex_of(key) -- what openssl and people write, or nil
	local hex = type(key) == "string" and key:gsub(":", ""):lower() or "";
	return #hex == 64 and not hex:find("%X") and hex or nil;
end

local function read_doors()
	local found, doors = {}, module:get_option("clearinghouse_doors", {});
	for name, keys in pairs(type(doors) == "table" and doors or { doors }) do
		local set = {};
		for _, key in ipairs(type(keys) == "table" and keys or { keys }) do set[hex_of(key) or ""] = true; end
		if type(name) == "string" and next(set) and not set[""] then
			found[rules.domain(name)] = set;
		else
			module:log("error", "clearinghouse_doors: %s needs a list of keys, each of 64 hex digits, and is no door", name);
		end
	end
	follow.doors = found;
end

function follow.is_on() return next(follow.doors) ~= nil; end

-- The key in a certificate as records have it: the SHA-256 of its SubjectPublicKeyInfo (RFC 5280, section 4.1).
local function key_of(cert)
	local der = x509.pem2der((cert:pubkey()));
	return der and sha256(der, true);
end

local function is_named(name, cert) return x509.verify_identity(name, "xmpp-server", cert) == true; end

local function is_a_doors(key)
	for _, keys in pairs(follow.doors) do
		if keys[key] then return true; end
	end
	return false;
end

-- The door whose key and certificate this is; it may have its own name or that of the domain for which it stands.
local function door_of(key, cert, domain)
	for name, keys in pairs(follow.doors) do
		if keys[key] and (is_named(name, cert) or is_named(domain, cert)) then return name; end
	end
end

---- What is known of an outgoing stream

local function about(session)
	local this = session.clearinghouse or { hops = 0 };
	session.clearinghouse = this;
	return this;
end

-- Why stanzas may not go out on a stream that is no door's; nil where they may.
local function wrong(session)
	local this, host, domain = about(session), session.from_host, session.to_host;
	if session.direction == "incoming" then host, domain = domain, host; end -- both ways (XEP-0288)
	if this.is_a_doors then return "the certificate of "..domain.." has the key of a door"; end
	local keys = peers.keys(host, domain);
	if not keys then return this.hops > 0 and "no key of "..domain.." is on record" or nil; end
	if not this.key then return domain.." shows no certificate"; end
	if this.hops > 0 and not this.is_trusted then return "the certificate of "..domain.." is not trusted"; end
	if this.hops > 0 and not this.is_named then return "the certificate is not valid for "..domain; end
	if not keys[this.key] then return "the key of the certificate of "..domain.." is not on record"; end
end

local function is_unproven(session)
	if not follow.is_on() or session.direction ~= "outgoing" then return false; end
	return about(session).door ~= nil or wrong(session) ~= nil;
end

-- What the sender of a stanza reads that could not be sent, who knows of no door.
function follow.explained(session, reason)
	local via = session.clearinghouse and session.clearinghouse.via;
	return via and type(reason) == "string" and "sent on by "..via..": "..reason or reason;
end

-- Whether a stream goes on from one that a door ended.
function follow.is_redirected(session) return session.clearinghouse ~= nil and session.clearinghouse.hops > 0; end

local function stop(session, condition, why)
	session.log("warn", "No stanza goes to %s at %s: %s", session.to_host, session.ip or "?", why);
	session:close({ condition = condition; text = why }, nil, why);
	return false;
end

local function certified(event) -- TLS is there, and nothing was said yet
	local session, cert = event.session, event.cert;
	if not follow.is_on() then return; end
	local this, socket = about(session), session.conn:socket();
	this.key = cert and key_of(cert);
	this.is_a_doors = this.key ~= nil and is_a_doors(this.key);
	if session.direction ~= "outgoing" then return; end
	if cert then
		this.is_named = is_named(session.to_host, cert);
		this.is_trusted = socket.getpeerverification ~= nil and socket:getpeerverification() == true;
		this.door = door_of(this.key, cert, session.to_host);
	end
	-- Its name is not the domain's, so that nobody else may look: then what it says would not be read.
	if this.door then return true; end
	local why = wrong(session);
	if why then return stop(session, "not-authorized", why); end
end

local function authenticated(event) -- by whichever proof
	local session = event.session;
	if session.destroyed then return false; end
	-- One on which the other side alone would send: what goes to it finds a way of its own.
	if session.direction == "incoming" and session.outgoing and follow.is_on() and wrong(session) then session.outgoing = nil; end
	if not is_unproven(session) then return; end
	local door = about(session).door;
	if not door then return stop(session, "not-authorized", wrong(session)); end
	-- After EXTERNAL its answer is the next thing that it says; the stream stays one that is not authenticated.
	if event.mechanism == "EXTERNAL" then return false; end
	return stop(session, "policy-violation", door.." let us in instead of sending us on");
end

local function offered(event) -- instead of an answer
	local session = event.origin;
	if session.direction ~= "outgoing" or session.external_auth ~= "succeeded" or not follow.is_on() then return; end
	local door = about(session).door;
	if not door then return; end
	stop(session, "policy-violation", door.." let us in instead of sending us on");
	return true;
end

---- Dialback: a server that has not proven its own name proves nobody else's

local function verified(event)
	local session = event.origin;
	if not is_unproven(session) then return; end
	session.log("warn", "Whether a key is valid is not for this server to say: %s", about(session).door or wrong(session));
	return true;
end

local function to_verify(event) -- waits in the queue until the stream leads to who can answer
	if event.stanza.name ~= "db:verify" then return; end
	local session = prosody.hosts[event.from_host].s2sout[event.to_host];
	if session and session.type == "s2sout_unauthed" and is_unproven(session) then session.dialback_key = nil; end
end

---- Going where a door sends us

-- The value of <see-other-host/> in the bytes of a stream; nil where there is none.
local function place_in(bytes)
	local found;
	local sink = { notopen = true };
	local callbacks = {
		default_ns = "jabber:server";
		streamopened = function () sink.notopen = nil; end;
		handlestanza = function () end;
		error = function (_, kind, stanza)
			if kind == "stream-error" then found = stanza:get_child_text("see-other-host", NS_ERRORS); end
		end;
	};
	pcall(function () xmppstream.new(sink, callbacks, MAX_HEARD):feed(bytes); end);
	return found;
end

-- Host and port in `host`, `host:port`, `[address]` or `[address]:port`; nil where it is none of these.
local function read_place(place)
	local value = place and place:match("^%s*(%S+)%s*$") or "";
	local address, port = value:match("^%[([%x:.]+)%](.*)$");
	local host = address;
	if not address then host, port = value:match("^([^:%[%]]+)(.*)$"); end
	if not host or address and not inet_pton(address) or not address and not to_ascii(host) then return; end
	if port == "" then return host, PORT; end
	port = tonumber(port:match("^:(%d+)$"));
	if port and port > 0 and port < 65536 then return host, port; end
end

local function why_not(session, host)
	local this = about(session);
	if session.secure ~= true then return "it came without TLS"; end
	if not this.door then return "it came from no door that is known here"; end
	if this.hops >= MAX_HOPS then return "it was the "..(this.hops + 1).."th in a row"; end
	if not peers.keys(session.from_host, session.to_host) then return "no key of "..session.to_host.." is on record"; end
	if not host then return "it names no address"; end
end

-- Takes from a stream what goes on without it: when it is closed, nothing of it is left.
local function taken(session)
	local this, queue = about(session), session.sendq;
	session.sendq = nil;
	return {
		from = session.from_host; to = session.to_host; queue = queue; bounce = session.bounce_sendq;
		limit = session.stanza_size_limit; hops = this.hops + 1; via = this.door;
	};
end

local function go_on(left, host, port)
	local session = new_outgoing(left.from, left.to);
	session.version, session.stanza_size_limit = 1, left.limit;
	session.sendq, session.bounce_sendq = left.queue, left.bounce;
	session.clearinghouse = { hops = left.hops; via = left.via };
	module:context(left.from):fire_event("s2sout-created", { session = session });
	-- By address records alone: the SRV records name the door.
	local resolver = basic.new(host, port, "tcp", {
		use_ipv4 = module:get_option_boolean("use_ipv4", true); use_ipv6 = module:get_option_boolean("use_ipv6", true);
	});
	session.log("info", "Sent on by %s: %s is at %s, port %d (redirect %d)", left.via, left.to, host, port, left.hops);
	connect(resolver, get_service("s2s").listener, nil, { session = session });
end

local function created(event) -- connected, and nothing was said yet
	local session = event.session;
	if session.direction ~= "outgoing" or not follow.is_on() then return; end
	local heard, size, close, reset = {}, 0, session.close, session.reset_stream;
	filters.add_filter(session, "bytes/in", function (data)
		if session.type ~= "s2sout_unauthed" then heard = {}; return data; end
		size = size + #data;
		if size <= MAX_HEARD then heard[#heard+1] = data; end
		return data;
	end, 1000);
	function session.reset_stream(...)
		heard, size = {}, 0;
		return reset(...);
	end
	function session.close(dying, reason, remote_reason, bounce_reason)
		local is_redirect = reason == nil and type(remote_reason) == "string" and remote_reason:find("^see%-other%-host%f[^%a%-]");
		-- With nothing in its queue a stream is there, and it is too late, or nobody waits.
		if not is_redirect or not dying.sendq then return close(dying, reason, remote_reason, bounce_reason); end
		local place = place_in(table.concat(heard));
		local host, port = read_place(place);
		local problem = why_not(dying, host);
		if problem then
			dying.log("warn", "Not sent on to %q: %s", (place or ""):sub(1, 100), problem);
			return close(dying, reason, remote_reason, "the redirect was not followed: "..problem);
		end
		local left = taken(dying);
		close(dying, reason, remote_reason);
		go_on(left, host, port);
	end
end

---- What a new list of keys changes

-- Ends the streams that are not to whom the list now says.
function follow.sweep()
	if not follow.is_on() then return; end
	local lost = {};
	for _, host in pairs(prosody.hosts) do
		for remote, session in pairs(host.s2sout or {}) do
			if session.type == "s2sout" and wrong(session) then lost[#lost+1] = session; end
			if session.type == "s2sin" and wrong(session) then host.s2sout[remote], session.outgoing = nil, nil; end
		end
	end
	for _, session in ipairs(lost) do stop(session, "not-authorized", wrong(session)); end
end

function follow.guard(here)
	here:hook("s2s-authenticated", authenticated, 1100);
	here:hook("stanza/http://etherx.jabber.org/streams:features", offered, 1000);
	here:hook("stanza/jabber:server:dialback:verify", verified, 1000);
	here:hook("route/remote", to_verify, 0);
end

read_doors();
module:hook("config-reloaded", read_doors);
module:hook("s2s-created", created, 1000);
module:hook("s2s-check-certificate", certified, 1000);

return follow;
