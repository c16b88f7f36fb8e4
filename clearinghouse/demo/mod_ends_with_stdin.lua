-- mod_ends_with_stdin: ends the server when its standard input is closed, which its starter holds open while it lives.
module:set_global();

local server = require "net.server";

local watch;
watch = server.watchfd(0, function ()
	watch:close(); -- it would stay readable for ever
	prosody.main_thread:run(function () prosody.shutdown("the starter has gone"); end);
end);
