-- Changes by an owner: all are checked before the first is made, and the node is written once.  Sees what
-- mod_pubsub_authorize.lua leaves global to the files of this module: service, waiting, answers.

local jid_bare = require "util.jid".bare;
local jid_prep = require "util.jid".prep;
local st = require "util.stanza";

local NS_OWNER = "http://jabber.org/protocol/pubsub#owner";
local UNUSABLE = "A JID or a state cannot be used; nothing was changed";

local AFFILIATIONS = { owner = true; publisher = true; ["publish-only"] = true; member = true; outcast = true; none = true };
local SUBSCRIPTIONS = { subscribed = true; none = true };

local function entries(action, name, allowed)
	local found = {};
	for tag in action:childtags(name) do
		local jid, state = jid_prep(tag.attr.jid), tag.attr[name];
		if not jid or not allowed[state] then return nil; end
		found[#found+1] = { jid = jid; state = state };
	end
	return found;
end

local function in_one_write(node, change)
	local nodestore = service.config.nodestore;
	service.config.nodestore = { set = function () return true; end };
	local done, problem = pcall(change);
	service.config.nodestore = nodestore;
	local found = service.nodes[node];
	local saved = nodestore:set(node, { name = node; config = found.config; subscribers = found.subscribers; affiliations = found.affiliations });
	if not done then error(problem, 0); end
	return saved;
end

local function set_subscription(node, jid, state)
	local subscribed = service.nodes[node].subscribers[jid] and true or false;
	local changes = subscribed ~= (state == "subscribed") or waiting.is(node, jid);
	if not changes then return; end -- who left already has what is wanted
	if subscribed then
		service:remove_subscription(node, true, jid);
	elseif state == "subscribed" then
		service:add_subscription(node, true, jid);
	end
	waiting.forget(node, jid);
	answers.tell(node, jid, state);
end

local owners = {}; -- handlers of the owner's namespace; nil leaves the answer to mod_pubsub

function owners.set_subscriptions(stanza, action)
	local node = action.attr.node;
	if not (node and service.nodes[node] and service:may(node, stanza.attr.from, "subscribe_other")) then return; end
	local wanted = entries(action, "subscription", SUBSCRIPTIONS);
	if not wanted then return answers.refuse(stanza, "modify", "bad-request", UNUSABLE); end
	for _, entry in ipairs(wanted) do
		if entry.state == "subscribed" and not service:may(node, entry.jid, "be_subscribed") then
			return answers.refuse(stanza, "auth", "forbidden", "One of them may not be subscribed; nothing was changed");
		end
	end
	local saved = in_one_write(node, function ()
		for _, entry in ipairs(wanted) do set_subscription(node, entry.jid, entry.state); end
	end);
	return saved and st.reply(stanza) or answers.unsaved(stanza);
end

local function keeps_owner(found, wanted)
	local after = {};
	for jid, held in pairs(found.affiliations) do after[jid] = held; end
	for _, entry in ipairs(wanted) do after[jid_bare(entry.jid)] = entry.state; end
	for _, held in pairs(after) do
		if held == "owner" then return true; end
	end
	return false;
end

function owners.set_affiliations(stanza, action)
	local node = action.attr.node;
	local found = node and service.nodes[node];
	if not (found and service:may(node, stanza.attr.from, "set_affiliation")) then return; end
	local wanted = entries(action, "affiliation", AFFILIATIONS);
	if not wanted then return answers.refuse(stanza, "modify", "bad-request", UNUSABLE); end
	if not keeps_owner(found, wanted) then return answers.refuse(stanza, "modify", "not-acceptable", "A node has at least one owner"); end
	local saved = in_one_write(node, function ()
		for _, entry in ipairs(wanted) do
			service:set_affiliation(node, true, entry.jid, entry.state ~= "none" and entry.state or nil);
		end
	end);
	return saved and st.reply(stanza) or answers.unsaved(stanza);
end

function owners.get_subscriptions(stanza, action)
	local node = action.attr.node;
	if not (node and service.nodes[node] and service:may(node, stanza.attr.from, "get_subscriptions_other")) then return; end
	local reply = st.reply(stanza):tag("pubsub", { xmlns = NS_OWNER }):tag("subscriptions", { node = node });
	for jid in pairs(service.nodes[node].subscribers) do reply:tag("subscription", { jid = jid; subscription = "subscribed" }):up(); end
	for jid in pairs((waiting.at_node(node))) do reply:tag("subscription", { jid = jid; subscription = "pending" }):up(); end
	return reply;
end

return owners;
