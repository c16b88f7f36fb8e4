-- Connections: refused before anything is offered, refused after whichever proof of a name, and cut when they have lost all.
-- Sees what mod_clearinghouse.lua leaves global: answers, follow, held, rules, seen.
--
-- A stream is refused when nothing at all may pass between its two domains: errors and results of what is permitted in one
-- direction come back in the other.  A stream may carry several domains of the other side (XEP-0220, XEP-0288): each is judged.

local now_exactly = require "util.time".now;
local st = require "util.stanza";

local LOOK_SECONDS = 10; -- at the clock, which somebody may set

local streams = {};

-- Where a stream leads; nil where a door may still send it on.
local function address_of(session)
	return not (follow.is_on() and session.type == "s2sout_unauthed") and session.ip or nil;
end

-- The address of the server at the other end of the stream on which stanzas to *remote* go, where there is one.
function streams.address(host, remote)
	local session = prosody.hosts[host] and prosody.hosts[host].s2sout[remote];
	return session and address_of(session);
end

-- Returns nil when something passes, else why nothing does.
local function refused(host, remote, direction, address)
	local asked = rules.asked_of_stream(host, remote, direction, address);
	local allowed, enforced = rules.verdict(asked);
	seen.count(asked, allowed);
	if not allowed and enforced then return rules.why(asked); end
end

-- Takes out of a queue what may not pass any more, and tells its senders, or lets it wait.
local function sift(session)
	local left = {};
	for _, item in ipairs(session.sendq) do
		local asked, stanza = held.read(item[1]);
		-- What is no stanza (db:verify) belongs to the stream; what cannot be read cannot be judged, and does not go.
		local allowed, enforced = type(item[1]) == "string" and item[1]:find("^<db:") ~= nil, true;
		if asked then
			if answers.is_own_text(item[1]) then asked.kind, asked.name = "answer", nil; end
			asked.address = address_of(session);
			allowed, enforced = rules.verdict(asked);
		end
		if allowed or not enforced then
			left[#left+1] = item;
		elseif asked and asked.kind ~= "answer" then
			local text, decision = rules.why(asked);
			if not held.hold(asked, stanza, "self", text, decision) then answers.refuse(stanza, text, decision); end
		end
	end
	session.sendq = left[1] and left or nil;
end

local function close(session, text)
	if session.sendq then sift(session); end
	-- One that is not connected yet cannot be closed; it is judged again when it is.
	if session.conn then session:close({ condition = "policy-violation"; text = text }); end
end

---- Streams that come about

-- Whoever only says a name learns no more than that it does not pass (authority R22).
local function to_a_stranger(session, name, text, decision)
	local is_proven = session.type == "s2sin" or session.cert_chain_status == "valid" and session.cert_identity_status == "valid";
	if is_proven and session.from_host == name then return text; end
	return decision == "" and "not permitted" or "not permitted ("..decision..")";
end

local function offered(event) -- incoming, before a proof of the name is asked for
	local session = event.origin;
	if session.direction ~= "incoming" or not session.secure or not session.from_host then return; end
	-- A door asks whether a key of dialback is ours; who only says that it is one gets no further than that.
	if follow.doors[rules.domain(session.from_host)] then return; end
	local text, decision = refused(session.to_host, session.from_host, "inbound", session.ip);
	if text then close(session, to_a_stranger(session, session.from_host, text, decision)); return true; end
end

local function authenticated(event) -- either direction, any proof; also the second domain on a stream
	local session = event.session;
	if session.destroyed then return false; end -- withdrawn while it was proven
	local host = session.direction == "incoming" and session.to_host or session.from_host;
	local direction = session.direction == "incoming" and "inbound" or "outbound";
	local text = refused(host, event.host, direction, session.ip);
	if text then close(session, text); return false; end
	-- Only now it is known where this leads: what waits may be allowed for another address.
	if session.direction == "outgoing" and session.sendq then sift(session); end
end

local function claimed(event) -- incoming dialback: nobody is asked about a domain that is refused anyway
	local session, stanza = event.origin, event.stanza;
	if session.direction ~= "incoming" or not stanza.attr.to or not stanza.attr.from then return; end
	local text, decision = refused(stanza.attr.to, stanza.attr.from, "inbound", session.ip);
	if not text then return; end
	text = to_a_stranger(session, stanza.attr.from, text, decision);
	if session.type == "s2sin_unauthed" then close(session, text); return true; end
	-- Others use this stream: only this domain is told (XEP-0220, section 2.4.2).
	local answer = st.stanza("db:result", { from = stanza.attr.to; to = stanza.attr.from; type = "error" });
	answer:tag("error", { type = "cancel" }):tag("policy-violation", { xmlns = "urn:ietf:params:xml:ns:xmpp-stanzas" }):up();
	answer:text_tag("text", text, { xmlns = "urn:ietf:params:xml:ns:xmpp-stanzas" }):reset();
	session.sends2s(answer);
	return true;
end

local function created(event) -- outgoing: what the other side refuses may wait, too
	local session = event.session;
	if follow.is_redirected(session) then return; end -- it has the one of the stream before
	local bounce = session.bounce_sendq;
	function session.bounce_sendq(dying, reason)
		local text = type(reason) == "string" and reason:match("^policy%-violation%s*(.*)$");
		if text and dying.sendq then held.take_queue(dying, text:match("^%((.*)%)$") or text); end
		return bounce(dying, follow.explained(dying, reason));
	end
end

---- Streams that are there

local function outgoing(touched)
	local found = {};
	for name, host in pairs(prosody.hosts) do
		for remote, session in pairs(host.s2sout or {}) do
			local is_asked = not touched or touched[rules.domain(remote)];
			if is_asked and session.direction == "outgoing" then found[#found+1] = { session, name, remote }; end
		end
	end
	return found;
end

-- Why an incoming stream whose domains have all lost everything is cut; nil where one of them has not.
local function has_lost_all(session, touched)
	local why;
	local is_touched = not touched;
	for remote, state in pairs(session.hosts) do
		is_touched = is_touched or state.authed and touched[rules.domain(remote)];
	end
	if not is_touched then return; end
	for remote, state in pairs(session.hosts) do
		local asked = rules.asked_of_stream(session.to_host, remote, "inbound", session.ip);
		local allowed, enforced = rules.verdict(asked);
		if state.authed and (allowed or not enforced) then return; end
		if state.authed then why = rules.why(asked); end
	end
	return why;
end

-- Cuts every stream that has lost everything; with *touched*, only those of these domains are looked at.
function streams.sweep(touched)
	for _, found in ipairs(outgoing(touched)) do
		local session, host, remote = found[1], found[2], found[3];
		local asked = rules.asked_of_stream(host, remote, "outbound", address_of(session));
		local allowed, enforced = rules.verdict(asked);
		if not allowed and enforced then close(session, (rules.why(asked))); elseif session.sendq then sift(session); end
	end
	local lost = {};
	for session in pairs(prosody.incoming_s2s) do
		local text = has_lost_all(session, touched);
		if text then lost[#lost+1] = { session, text }; end
	end
	for _, found in ipairs(lost) do close(found[1], found[2]); end
end

local timer;

-- Does by the clock what nobody has to push: ends grants and images, and cuts what has lost everything by that.
function streams.watch_clock()
	local next_end = rules.tidy(os.time(), kept.over);
	if timer then timer:stop(); timer = nil; end
	if next_end == math.huge then return; end
	-- A clock that is set does not move a timer, so that it is looked at again soon.
	timer = module:add_timer(math.max(0.01, math.min(next_end - now_exactly() + 0.01, LOOK_SECONDS)), function ()
		timer = nil;
		local is_over = os.time() >= next_end;
		streams.watch_clock();
		if is_over then streams.sweep(); end
	end);
end

function streams.guard(here)
	here:hook("s2s-stream-features", offered, 1000);
	here:hook("s2s-authenticated", authenticated, 1000);
	here:hook("stanza/jabber:server:dialback:result", claimed, 1000);
	here:hook("s2sout-created", created, 1000);
end

return streams;
