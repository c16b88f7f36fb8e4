%% What the files of mod_clearinghouse share.

-define(NS_SERVER_MODULE, <<"urn:x-clearinghouse:server:1">>).
-define(VERSION, <<"1">>).

%% Permissions are bits: 1 message, 2 presence, 4 iq, 8 groupchat; what goes out has the same times 16.
-define(EVERYTHING, 255).

%% The tables that every process reads; only clearinghouse_server writes, except to those marked (public).
-define(IMAGES, clearinghouse_images).       % {Name, #image{}}
-define(HOSTS, clearinghouse_hosts).         % {local host, Name}
-define(STREAMS, clearinghouse_streams).     % #stream{}: bag                                              (public)
-define(REFUSERS, clearinghouse_refusers).   % {{Local, Remote}, pid of the stream that was refused, Text} (public)
-define(SEEN, clearinghouse_seen).           % {{Local, Remote, Direction, Kind, Allowed}, Count}          (public)
-define(SENT, clearinghouse_sent).           % {counter, N}, {{slot, N}, Trace}, {Trace, stanza(), Time}  (public)

%% What an agent pushed for some of our hosts.  Rows and grants are tables of their own, so that the next image
%% can be filled aside and takes their place in one step.
-record(image, {name :: binary(),
                serial :: integer(),
                mode = enforce :: enforce | shadow,
                default = deny :: allow | deny,
                default_reason = <<>> :: binary(),
                decision = <<>> :: binary(),
                expires = 0 :: integer(),
                ask = false :: boolean(),
                hosts = [] :: [binary()],
                classes = #{} :: #{binary() => {integer(), binary()}},
                rows :: ets:tid(),                % {Domain, Class}
                grants :: ets:tid()}).            % {Remote, Id, #grant{}}: bag

-record(grant, {id :: binary(),
                user :: any | binary(),           % bare JID at the remote domain
                local :: any | binary(),          % bare JID of ours
                mask :: integer(),
                address :: any | inet:ip_address(),
                until :: integer(),
                decision = <<>> :: binary()}).

%% One question: may these bits pass between these two?
-record(ask, {local :: binary(),
              remote :: binary(),
              bits :: integer(),
              here = any :: any | binary(),       % bare JID of ours; `any` is what a whole stream may carry
              there = any :: any | binary(),      % bare JID at the remote domain
              address = unknown :: unknown | inet:ip_address()}).

%% A stream that is authenticated; an incoming one has an entry for each pair of domains.
-record(stream, {pid :: pid(),
                 direction :: in | out,
                 local :: binary(),
                 remote :: binary(),
                 secure :: boolean(),
                 auth :: binary(),
                 address :: inet:ip_address()}).
