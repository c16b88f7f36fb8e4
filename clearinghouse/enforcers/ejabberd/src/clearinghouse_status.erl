%% What the agent is told about this server.
-module(clearinghouse_status).

-export([report/1]).

-include("clearinghouse.hrl").

report(Logs) ->
    #{module => ?VERSION, server => ejabberd, images => images(Logs), peers => clearinghouse_peers:report(),
      streams => clearinghouse_streams:list(), seen => seen(), facts => facts()}.

images(Logs) ->
    maps:from_list([{Name, #{serial => Image#image.serial, rows => ets:info(Image#image.rows, size),
                             grants => ets:info(Image#image.grants, size), expires => Image#image.expires,
                             mode => Image#image.mode,
                             kept => maps:get(Name, Logs, none) =/= none}}
                    || {Name, Image} <- ets:tab2list(?IMAGES)]).

seen() ->
    [#{local => Local, remote => Remote, direction => clearinghouse_stanza:direction(Direction), kind => Kind, allowed => Allowed,
       count => Count}
     || {{Local, Remote, Direction, Kind, Allowed}, Count} <- ets:tab2list(?SEEN)].

%% What decides whether a stranger can be kept out; which values are safe is not for us to say.
facts() ->
    Hosts = ejabberd_option:hosts(),
    Routes = lists:usort(Hosts ++ ejabberd_router:get_all_routes()),
    Dialback = [Host || Host <- Hosts, gen_mod:is_loaded(Host, mod_s2s_dialback)],
    Tls = [ejabberd_option:s2s_use_starttls(Host) || Host <- Hosts],
    #{version => iolist_to_binary(ejabberd_option:version()),
      time => os:system_time(second),
      agent => clearinghouse_image:setting(agent),
      doors => lists:usort([Door || {_, Door} <- clearinghouse_image:setting(doors)]),
      door_pins => door_pins(clearinghouse_image:setting(doors)),
      hosts => Routes,
      governed => [Route || Route <- Routes, is_governed(Route)],
      dialback => Dialback =/= [],
      dialback_access => access(Dialback),
      starttls => starttls(Tls),
      secure_auth => Dialback =:= [] andalso lists:all(fun(T) -> T =:= required end, Tls),
      retry_delay => ejabberd_option:s2s_max_retry_delay() div 1000,
      ca_file => text(ejabberd_option:ca_file()),
      certificates => maps:from_list([{Host, C} || Host <- Hosts, C <- certificate(Host)]),
      component_interfaces => lists:usort([misc:ip_to_list(Ip) || {{_, Ip, _}, ejabberd_service, _} <- ejabberd_option:listen()]),
      shared_components => shared()}.

door_pins(Doors) -> maps:from_list([{Door, [written(Pin) || {Pin, D} <- Doors, D =:= Door]} || {_, Door} <- Doors]).

written(Pin) -> string:lowercase(binary:encode_hex(Pin)).

%% By an image, and by a host at which this module is loaded.
is_governed(Route) ->
    clearinghouse_image:governing(clearinghouse_stanza:ascii(Route)) =/= undefined
        andalso gen_mod:is_loaded(ejabberd_router:host_of_route(Route), mod_clearinghouse).

%% A component gets everything that is for any component of its listener, unless global_routes is false.
shared() ->
    lists:any(fun({_, ejabberd_service, Opts}) -> maps:get(global_routes, Opts, true) andalso length(maps:get(hosts, Opts, [])) > 1;
                 (_) -> false
              end, ejabberd_option:listen()).

%% Only rules have names; of a rule that stands in place we say that there is one.
access([]) -> <<"none">>;
access([Host | _]) ->
    case mod_s2s_dialback_opt:access(Host) of
        Name when is_atom(Name) -> atom_to_binary(Name);
        Name when is_binary(Name) -> Name;
        _ -> <<"rule">>
    end.

starttls(Tls) ->
    case [T || T <- Tls, T =/= required] of
        [] -> required;
        [First | _] -> case First of true -> optional; Other -> Other end
    end.

text(undefined) -> <<>>;
text(Text) -> iolist_to_binary(Text).

certificate(Host) ->
    try
        {ok, File} = ejabberd_pkix:get_certfile(Host),
        {ok, Pem} = file:read_file(File),
        [{_, Der, _} | _] = [E || {'Certificate', _, _} = E <- public_key:pem_decode(Pem)],
        Certificate = public_key:pkix_decode_cert(Der, otp),
        [#{names => xmpp_stream_pkix:get_cert_domains(Certificate), until => until(Certificate)}]
    catch _:_ -> []
    end.

%% otp certificate -> its body -> validity -> the second of two instants.
until(Certificate) ->
    {'Validity', _, NotAfter} = element(6, element(2, Certificate)),
    [Century, Rest] = case NotAfter of
                          {utcTime, Text} -> ["20", Text];
                          {generalTime, [A, B | Text]} -> [[A, B], Text]
                      end,
    {ok, [Y, Mo, D, H, Mi, S], _} = io_lib:fread("~4d~2d~2d~2d~2d~2d", Century ++ Rest),
    calendar:datetime_to_gregorian_seconds({{Y, Mo, D}, {H, Mi, S}}) - 62167219200.
