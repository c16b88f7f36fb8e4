-- Rights: the methods of util.pubsub that know nothing of "authorize", or that do not cut.  Sees what mod_pubsub_authorize.lua
-- leaves global to the files of this module: pubsub, service, waiting, answers.

local errors = require "util.error";
local jid_bare = require "util.jid".bare;

local base = getmetatable(service).__index; -- util.pubsub's own methods, however often this module was loaded
local max_payload = module:get_option_number("pubsub_max_payload", 65536);

local rights = {};

-- The node, if its owners rule on each subscription.
function rights.ruled(node)
	local found = node and service.nodes[node];
	return found and found.config.access_model == "authorize" and found or nil;
end

function service.config.check_node_config(node, actor, config)
	local seen = config.access_model == "authorize" and setmetatable({ access_model = "open" }, { __index = config }) or config;
	return pubsub.check_node_config(node, actor, seen);
end

function service:may(node, actor, action)
	if base.may(self, node, actor, action) then return true; end
	if action ~= "get_items" or not rights.ruled(node) then return false; end
	local bare = jid_bare(actor);
	if self.nodes[node].affiliations[bare] == "outcast" then return false; end
	for _, nodes in pairs(self.subscriptions[bare] or {}) do
		if nodes[node] then return true; end
	end
	return false;
end

function service:add_subscription(node, actor, jid, options)
	local found = actor ~= true and rights.ruled(node);
	if found and not found.subscribers[jid] and not self:may(node, actor, "subscribe_other") then return false, "forbidden"; end
	return base.add_subscription(self, node, actor, jid, options);
end

local function bars(found, bare, affiliation)
	local held = found.affiliations[bare];
	found.affiliations[bare] = affiliation;
	local barred = not service:may(found.name, bare, "be_subscribed");
	found.affiliations[bare] = held;
	return barred;
end

local function cut(node, bare)
	local ended = {};
	for jid, nodes in pairs(service.subscriptions[bare] or {}) do
		if nodes[node] then ended[#ended+1] = jid; end
	end
	for _, request in pairs((waiting.of_jid(bare))) do
		if request.node == node then ended[#ended+1] = request.jid; end
	end
	for _, jid in ipairs(ended) do
		waiting.forget(node, jid);
		if service.nodes[node].subscribers[jid] then service:remove_subscription(node, true, jid); end
		answers.tell(node, jid, "none");
	end
end

-- util.pubsub adds a subscription here where it means to remove one, so that the change is made and yet refused.
function service:set_affiliation(node, actor, jid, affiliation)
	local found, bare = self.nodes[node], jid_bare(jid);
	if found and self:may(node, actor, "set_affiliation") and bars(found, bare, affiliation) then cut(node, bare); end
	return base.set_affiliation(self, node, actor, jid, affiliation);
end

local function bad_item(condition, detail, text)
	local problem = errors.new { type = "modify"; condition = condition; text = text };
	problem.pubsub_condition = detail;
	return problem;
end

local function wrong_with(found, item)
	local payload = item and item.tags[1];
	if not payload then return bad_item("bad-request", "item-required"); end
	if item.tags[2] then return bad_item("bad-request", "invalid-payload"); end
	local wanted = found.config.payload_type or "";
	if wanted ~= "" and payload.attr.xmlns ~= wanted then
		return bad_item("not-acceptable", "invalid-payload", "The items of this node have the namespace "..wanted);
	elseif max_payload > 0 and #tostring(payload) > max_payload then
		return bad_item("not-acceptable", "payload-too-big", "At most "..max_payload.." bytes");
	end
end

function service:publish(node, actor, id, item, requested)
	local found = self.nodes[node];
	local problem = found and self:may(node, actor, "publish") and wrong_with(found, item);
	if problem then return false, problem; end
	return base.publish(self, node, actor, id, item, requested);
end

-- As ejabberd has it: may publish, and reads nothing.  The table is shared with all other services of this process.
local capabilities = {};
for name, rights in pairs(service.config.capabilities) do capabilities[name] = rights; end
local publish_only = { publish = true; be_unsubscribed = true; unsubscribe = true; get_nodes = true; get_subscription = true };
capabilities["publish-only"] = setmetatable(publish_only, { __index = function () return false; end });
service.config.capabilities = capabilities;

function rights.restore()
	service.may, service.add_subscription, service.set_affiliation, service.publish = nil, nil, nil, nil;
	service.config.check_node_config, service.config.capabilities = pubsub.check_node_config, nil;
end

return rights;
