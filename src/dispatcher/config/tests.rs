//! The configuration as users write it, right and wrong.

use super::*;
use crate::words::JobType;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn env(name: &str) -> Option<String> {
    match name {
        "KEY" => Some("devkey".to_owned()),
        "SECRET" => Some(SECRET.to_owned()),
        "MAX" => Some("7".to_owned()),
        _ => None,
    }
}

fn yaml(text: &str) -> Result<Config, ConfigError> {
    Config::from_yaml(text, &env)
}

const LIVEKIT: &str =
    "livekit: {url: 'ws://127.0.0.1:7880', api_key: '${KEY}', api_secret: '${SECRET}'}\n";

fn with_agent(agent: &str) -> Result<Config, ConfigError> {
    yaml(&format!(
        "{LIVEKIT}agents:\n  - {}\n",
        agent.trim().replace('\n', "\n    ")
    ))
}

fn minimal() -> String {
    format!("name: a\njob_types: [JT_ROOM]\nwebhook_url: https://a.example/hook\nsecret: {SECRET}")
}

#[test]
fn the_shortest_configuration_is_completed_with_the_documented_defaults() {
    let config = with_agent(&minimal()).unwrap();
    assert_eq!(config.livekit.url, "ws://127.0.0.1:7880");
    assert_eq!(config.livekit.public_url, None);
    assert_eq!(config.livekit.api_key, "devkey");
    assert_eq!(config.listen, ("127.0.0.1".to_owned(), 7890));
    assert_eq!(config.store, StorePath::File("roomhook.db".into()));
    assert_eq!(
        (
            config.max_jobs,
            config.start_timeout_ms,
            config.drain_timeout_ms
        ),
        (1_000, 10_000, 30_000)
    );
    let agent = &config.agents[0];
    assert_eq!(
        agent.retry,
        Retry {
            max_retries: 3,
            initial_wait_ms: 1_000,
            max_wait_ms: 10_000,
            budget_ms: 60_000
        }
    );
    assert_eq!(agent.endpoints[0].timeout_ms, 10_000);
    assert_eq!(
        (agent.join_timeout_ms, agent.max_duration_ms),
        (30_000, None)
    );
    assert_eq!(agent.identity_for("AJ_1"), "agent-AJ_1");
    assert_eq!(agent.participant_name, "a");
    assert_eq!(agent.participant_attributes["lk.agent.name"], "a");
    assert!(config.warnings.is_empty());
}

#[test]
fn the_proposals_keys_work_unchanged() {
    let config = yaml(&format!(
        "{LIVEKIT}agents:
  enable_user_data_recording: false
  external_agents:
    - name: my-agent
      enabled: true
      webhook_url: https://agents.example.com/webhook
      job_types: [JT_ROOM, JT_PUBLISHER]
      secret: {SECRET}
      timeout: 5s
      retry:
        max_retries: 0
        initial_wait: 500ms
        max_wait: 1m30s
      headers:
        X-Custom: value
    - name: off
      enabled: false
      webhook_url: https://agents.example.com/webhook
      job_types: [JT_ROOM]
      secret: {SECRET}
"
    ))
    .unwrap();
    assert_eq!(config.agents.len(), 1);
    let agent = &config.agents[0];
    assert_eq!(agent.job_types, [JobType::Room, JobType::Publisher]);
    assert_eq!(
        agent.retry,
        Retry {
            max_retries: 0,
            initial_wait_ms: 500,
            max_wait_ms: 90_000,
            budget_ms: 60_000
        }
    );
    assert_eq!(agent.endpoints[0].timeout_ms, 5_000);
    assert_eq!(agent.endpoints[0].headers[0].0, "x-custom");
}

#[test]
fn s1_06_every_wrong_field_is_named_with_its_place() {
    let s = SECRET;
    let cases = [
        (
            "secrets: []\n",
            "agents[0].secrets must hold 1 to 3 secrets, got 0",
        ),
        ("secret: ''\n", "agents[0].secret must not be empty"),
        (
            "secret: short\n",
            "agents[0].secret must be at least 16 bytes long, got 5",
        ),
        (
            "secret: whsec_!!\n",
            "agents[0].secret must be base64 after whsec_",
        ),
        ("", "agents[0].secret is required"),
        (
            "secret: 1234567890123456\n",
            "agents[0].secret must be a text, got a number; put it in quotes",
        ),
    ];
    for (secret, message) in cases {
        let error = with_agent(&format!(
            "name: a\njob_types: [JT_ROOM]\n{secret}webhook_url: https://a.example/"
        ))
        .unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.place.is_some(), "{error}");
    }
    for (line, message) in [
        (
            "webhook_url: http://a.example/",
            "agents[0].webhook_url must use https:",
        ),
        (
            "webhook_url: ftp://a.example/",
            "agents[0].webhook_url must be a URL with https:, got ftp:",
        ),
        (
            "webhook_url: https://u:p@a.example/",
            "must not carry a user name or password",
        ),
        (
            "webhook_url: nonsense",
            "agents[0].webhook_url must be a URL",
        ),
        (
            "webhook_url: https://a.example/\ntimeout: -1s",
            "agents[0].timeout must not be negative",
        ),
        (
            "webhook_url: https://a.example/\ntimeout: 10",
            "agents[0].timeout must be a duration with a unit",
        ),
        (
            "webhook_url: https://a.example/\nretry: {max_retries: -1}",
            "agents[0].retry.max_retries must be a whole number from 0 to 100",
        ),
        (
            "webhook_url: https://a.example/\nretry: {initial_wait: -5ms}",
            "agents[0].retry.initial_wait must not be negative",
        ),
        (
            "webhook_url: https://a.example/\nheaders: {X-LiveKit-Signature: x}",
            "agents[0].headers.X-LiveKit-Signature is set by the dispatcher itself",
        ),
        (
            "webhook_url: https://a.example/\nheaders: {content-LENGTH: '1'}",
            "cannot be replaced",
        ),
        (
            "webhook_url: https://a.example/\nheaders: {'X\\r\\nY': x}",
            "is not a header name",
        ),
        (
            "webhook_url: https://a.example/\nheaders: {X: \"a\\r\\nb\"}",
            "must be visible ASCII",
        ),
        (
            "webhok_url: https://a.example/",
            "agents[0].webhok_url is not a known key; did you mean webhook_url?",
        ),
        (
            "enabled: true",
            "agents[0] needs endpoints, or one webhook_url",
        ),
        (
            "webhook_url: https://a.example/\nparticipant_identity: bob",
            "must contain {job_id}",
        ),
    ] {
        let error = with_agent(&format!(
            "name: a\njob_types: [JT_ROOM]\nsecret: {s}\n{line}"
        ))
        .unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert!(error.place.is_some_and(|(line, _)| line > 1), "{error}");
        assert!(!error.to_string().contains(s), "{error}");
    }
    let unknown = with_agent(&minimal().replace("[JT_ROOM]", "[JT_ROOM, JT_PARTY]")).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "line 4, column 26: agents[0].job_types[1] must be one of JT_ROOM, JT_PUBLISHER, JT_PARTICIPANT"
    );
}

#[test]
fn s1_06_two_agents_of_one_name_are_refused() {
    let one = minimal().replace('\n', "\n    ");
    let error = yaml(&format!("{LIVEKIT}agents:\n  - {one}\n  - {one}\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("agents[1] has the name of an earlier agent"),
        "{error}"
    );
}

#[test]
fn plain_text_is_for_loopback_or_on_request() {
    for host in ["127.0.0.1:1", "localhost", "[::1]:80", "127.8.9.1"] {
        with_agent(&minimal().replace("https://a.example", &format!("http://{host}"))).unwrap();
    }
    let insecure = minimal().replace("https:", "http:");
    with_agent(&format!("{insecure}\nallow_insecure: true")).unwrap();
    let far = LIVEKIT.replace("127.0.0.1", "10.0.0.1");
    let agent = minimal().replace('\n', "\n    ");
    let error = yaml(&format!("{far}agents:\n  - {agent}\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("livekit.url must use wss: or https:"),
        "{error}"
    );
    yaml(&format!(
        "{far}allow_insecure: true\nagents:\n  - {agent}\n"
    ))
    .unwrap();
}

#[test]
fn a_status_endpoint_for_other_machines_needs_its_public_url() {
    let agent = minimal().replace('\n', "\n    ");
    let text = |rest: &str| format!("{LIVEKIT}{rest}\nagents:\n  - {agent}\n");
    let error = yaml(&text("listen: 0.0.0.0:7890")).unwrap_err();
    assert!(
        error.to_string().contains("public_status_url must say"),
        "{error}"
    );
    let config = yaml(&text(
        "listen: 0.0.0.0:7890\npublic_status_url: https://d.example/base/",
    ))
    .unwrap();
    assert_eq!(
        config.public_status_url.as_deref(),
        Some("https://d.example/base")
    );
    assert!(yaml(&text("listen: 10.0.0.1:1\nallow_insecure: true")).is_ok());
    assert!(yaml(&text("listen: '7890'"))
        .unwrap_err()
        .to_string()
        .contains("listen must be an address and a port"));
    assert_eq!(
        yaml(&text("listen: '[::1]:0'")).unwrap().listen,
        ("[::1]".to_owned(), 0)
    );
}

#[test]
fn several_endpoints_carry_their_own_settings() {
    let config = with_agent(&format!(
        "name: a\njob_types: [JT_ROOM]\nendpoints:\n  - {{url: https://a.example/1, secrets: [{SECRET}, fedcba9876543210], timeout: 2s}}\n  - {{url: http://localhost:9/, secret: {SECRET}, headers: {{Authorization: Bearer x}}}}"
    ))
    .unwrap();
    let endpoints = &config.agents[0].endpoints;
    assert_eq!(
        (
            endpoints.len(),
            endpoints[0].secrets.len(),
            endpoints[0].timeout_ms
        ),
        (2, 2, 2_000)
    );
    assert_eq!(
        config.warnings,
        ["agents[0].endpoints[0].secrets[1] is 16 bytes long; 32 or more are safer"]
    );
    assert!(!format!("{config:?}").contains(SECRET));
    let both = with_agent(&format!("{}\nendpoints: []", minimal())).unwrap_err();
    assert!(
        both.to_string()
            .contains("agents[0].webhook_url belongs into each of the endpoints"),
        "{both}"
    );
    let two = with_agent(&format!("{}\nsecrets: [{SECRET}]", minimal())).unwrap_err();
    assert!(two.to_string().contains("keep one of them"), "{two}");
}

#[test]
fn program_options_are_the_same_structure_in_camel_case_with_milliseconds() {
    let agent = |more: &str| {
        format!(
            r#"{{"livekit":{{"url":"http://127.0.0.1:1","apiKey":"k","apiSecret":"s"}},"listen":"127.0.0.1:0","store":":memory:","startTimeoutMs":500,
            "agents":[{{"name":"a","jobTypes":["JT_ROOM"],"endpoints":[{{"url":"http://127.0.0.1:2/","secret":"{SECRET}"{more}}}]}}]}}"#
        )
    };
    let config = Config::from_options(&agent(r#","timeoutMs":250"#)).unwrap();
    assert_eq!(config.livekit.url, "ws://127.0.0.1:1");
    assert_eq!(
        (
            config.start_timeout_ms,
            config.agents[0].endpoints[0].timeout_ms
        ),
        (500, 250)
    );
    assert_eq!(config.store, StorePath::Memory);
    for (more, message) in [
        (r#","timeoutMs":"10s""#, "options.agents[0].endpoints[0].timeoutMs must be a whole number from 1 to 600000, got a text"),
        (r#","timeoutMs":null"#, "timeoutMs must be a whole number from 1 to 600000, got nothing"),
        (r#","timeoutMs":-1"#, "timeoutMs must be a whole number from 1 to 600000"),
        (r#","timeoutMs":1.5"#, "timeoutMs must be a whole number from 1 to 600000"),
        (r#","timeout":10"#, "options.agents[0].endpoints[0].timeout is not a known key; did you mean timeoutMs?"),
        (r#","allow_insecure":true"#, "did you mean allowInsecure?"),
    ] {
        let error = Config::from_options(&agent(more)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    for json in ["null", "[]", "3", "{}"] {
        assert!(
            Config::from_options(json)
                .unwrap_err()
                .path
                .starts_with("options"),
            "{json}"
        );
    }
}

#[test]
fn a_variable_may_hold_a_number_and_a_missing_one_is_named() {
    let agent = minimal().replace('\n', "\n    ");
    let config = yaml(&format!(
        "{LIVEKIT}max_jobs: ${{MAX}}\nagents:\n  - {agent}\n"
    ))
    .unwrap();
    assert_eq!(config.max_jobs, 7);
    let error = yaml(&format!(
        "{LIVEKIT}max_jobs: ${{NONE}}\nagents:\n  - {agent}\n"
    ))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2, column 11: max_jobs needs the environment variable NONE, which is not set"
    );
}

#[test]
fn f_d19_the_servers_own_keys_are_taken_with_a_warning() {
    let agent = minimal().replace('\n', "\n      ");
    // The proposal's section, inside a whole config.yaml of livekit-server.
    let config = yaml(&format!(
        "port: 7880
rtc: {{tcp_port: 7881, use_external_ip: true}}
keys: {{devkey: {SECRET}}}
{LIVEKIT}agents:
  enable_user_data_recording: true
  target_load: 0.7
  external_agents:
    - {agent}
"
    ))
    .unwrap();
    assert_eq!(config.agents.len(), 1);
    let told: Vec<&str> = (config.warnings.iter())
        .filter_map(|warning| warning.strip_suffix(" is a setting of the LiveKit server and does nothing here; the server must have it in its own configuration"))
        .collect();
    assert_eq!(
        told,
        [
            "port",
            "rtc",
            "keys",
            "agents.enable_user_data_recording",
            "agents.target_load"
        ]
    );
    assert!(!config.warnings.join("").contains(SECRET));
    let misspelt = yaml(&format!("{LIVEKIT}agents: {{external_agent: []}}")).unwrap_err();
    assert!(
        misspelt
            .to_string()
            .contains("agents.external_agent is not a known key; did you mean external_agents?"),
        "{misspelt}"
    );
    let no_dash = yaml(&format!("{LIVEKIT}agents:\n  name: a\n")).unwrap_err();
    assert_eq!(
        no_dash.to_string(),
        "line 3, column 3: agents must be a list of agents (in YAML each begins with a -), or hold such a list as external_agents"
    );
    let none = yaml(&format!("{LIVEKIT}agents: []")).unwrap_err();
    assert!(
        none.to_string()
            .contains("agents must hold at least one enabled agent"),
        "{none}"
    );
}

#[test]
fn f_d14_every_mistake_is_one_sentence_with_its_place_what_came_and_the_fix() {
    let agent = minimal().replace('\n', "\n    ");
    let agents = format!("agents:\n  - {agent}\n");
    let cases = [
        (
            format!("{LIVEKIT}listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n{agents}"),
            "line 3, column 1: listen is there twice; keep one of them",
        ),
        (
            format!("{LIVEKIT}{agents}    secret: other-secret-other-secret\n"),
            "line 7, column 5: agents[0].secret is there twice; keep one of them",
        ),
        (
            format!("{LIVEKIT}{agents}---\n{LIVEKIT}"),
            "line 8, column 1: the configuration must be one document; take away the --- that begins another one, and what follows it",
        ),
        (
            format!("{LIVEKIT}agents:\n"),
            "line 2, column 1: agents must be a list, got nothing",
        ),
        (
            format!("{LIVEKIT}agents:\n  -\n"),
            "line 3, column 4: agents[0] must be a map, got nothing",
        ),
        (
            format!("{LIVEKIT}agents: [greeter]\n"),
            "line 2, column 10: agents[0] must be a map, got a text",
        ),
        (
            "livekit: wss://x\n".to_owned(),
            "line 1, column 1: livekit must be a map, got a text",
        ),
        (
            String::new(),
            "line 1, column 1: the configuration must be a map, got nothing",
        ),
        (
            agents.clone(),
            "line 1, column 1: livekit is required",
        ),
        (
            format!("{LIVEKIT}start_timeout: 10\n{agents}"),
            "line 2, column 16: start_timeout must be a duration with a unit, such as 500ms, 10s or 2m, got 10",
        ),
        (
            format!("{LIVEKIT}start_timeout: ten seconds\n{agents}"),
            "line 2, column 16: start_timeout must be a duration with a unit, such as 500ms, 10s or 2m, got a text (\"ten seconds\")",
        ),
        (
            format!("{LIVEKIT}start_timeout: 2h\n{agents}"),
            "line 2, column 16: start_timeout must be a duration from 1ms to 1h, got a text (\"2h\")",
        ),
        (
            format!("{LIVEKIT}start_timeout: -1s\n{agents}"),
            "line 2, column 16: start_timeout must not be negative, got a text (\"-1s\")",
        ),
        (
            format!("{LIVEKIT}max_jobs: 1.5\n{agents}"),
            "line 2, column 11: max_jobs must be a whole number from 1 to 1000000, got 1.5",
        ),
        (
            format!("{LIVEKIT}max_jobs: '7'\n{agents}"),
            "line 2, column 11: max_jobs must be a whole number from 1 to 1000000, got a text (\"7\")",
        ),
        (
            format!("{LIVEKIT}allow_insecure: yes\n{agents}"),
            "line 2, column 17: allow_insecure must be true or false, got a text (\"yes\")",
        ),
        (
            format!("{LIVEKIT}store: [x]\n{agents}"),
            "line 2, column 8: store must be a text, got a list",
        ),
        (
            format!("{LIVEKIT}retris: {{}}\n{agents}"),
            "line 2, column 1: retris is not a known key; did you mean retry?",
        ),
        (
            format!("{LIVEKIT}{}", agents.replace(SECRET, "$GREETER_SECRET")),
            "line 6, column 13: agents[0].secret has a $ before a name; write ${NAME} for the environment variable, or $$ for a literal $",
        ),
        (
            format!("{LIVEKIT}{}", agents.replace(SECRET, "[a, b]")),
            "line 6, column 13: agents[0].secret must be one text; a list is called secrets",
        ),
        (
            format!("{LIVEKIT}{}", agents.replace("name: a", "nam: a")),
            "line 3, column 5: agents[0].nam is not a known key; did you mean name?",
        ),
    ];
    let told = |(text, _): &(String, &str)| yaml(text).unwrap_err().to_string();
    let told: Vec<String> = cases.iter().map(told).collect();
    assert_eq!(told, cases.map(|(_, expected)| expected));
}

#[test]
fn f_d14_the_store_in_memory_parses_as_the_documentation_writes_it() {
    let agent = minimal().replace('\n', "\n    ");
    for store in [
        ":memory:",
        "':memory:'",
        "\":memory:\"",
        "  :memory:  # forgets",
    ] {
        let config = yaml(&format!("{LIVEKIT}store: {store}\nagents:\n  - {agent}\n")).unwrap();
        assert_eq!(config.store, StorePath::Memory, "{store}");
    }
}

#[test]
fn durations_are_read_as_go_writes_them() {
    let agent = minimal().replace('\n', "\n    ");
    let read = |text: &str| {
        yaml(&format!(
            "{LIVEKIT}drain_timeout: {text}\nagents:\n  - {agent}\n"
        ))
        .map(|config| config.drain_timeout_ms)
    };
    for (text, ms) in [
        ("10s", 10_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("1m30s", 90_000),
        ("0.5h", 1_800_000),
        ("0", 0),
        ("0s", 0),
    ] {
        assert_eq!(read(text).unwrap(), ms, "{text}");
    }
    for text in ["''", "10", "s", "10d", "1..5s", "ten seconds"] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn an_agents_time_to_join_and_its_longest_job_are_the_ones_at_the_top_unless_it_has_its_own() {
    let agent = |name: &str, more: &str| {
        format!("  - {{name: {name}, webhook_url: 'https://a.example/', job_types: [JT_ROOM], secret: {SECRET}{more}}}\n")
    };
    let config = yaml(&format!(
        "{LIVEKIT}join_timeout: 5s\nmax_duration: 2h\nagents:\n{}{}",
        agent("a", ""),
        agent("b", ", join_timeout: 1m, max_duration: 90s"),
    ))
    .unwrap();
    let limits = |n: usize| {
        (
            config.agents[n].join_timeout_ms,
            config.agents[n].max_duration_ms,
        )
    };
    assert_eq!(limits(0), (5_000, Some(7_200_000)));
    assert_eq!(limits(1), (60_000, Some(90_000)));
}
