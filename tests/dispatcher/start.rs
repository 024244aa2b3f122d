//! Starting, failing to start, stopping, and starting again after a crash.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use roomhook::dispatcher::config::Config;
use roomhook::dispatcher::Dispatcher;
use roomhook::error::Code;
use serde_json::{json, Value};

use crate::bench::{http, options, report, start, Bench, AGENT};
use crate::receiver::{Receiver, Reply};
use crate::support::{free_tcp_port, LiveKitServer};

const CHILD: &str = "ROOMHOOK_TEST_DISPATCHER";

fn with_file(folder: &tempfile::TempDir) -> Value {
    json!({ "store": folder.path().join("jobs.db").to_string_lossy() })
}

#[tokio::test]
async fn whatever_prevents_a_start_is_one_sentence_and_leaves_nothing_behind() {
    let server = LiveKitServer::start();
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let port = free_tcp_port();
    let urls = ["http://127.0.0.1:9/".to_owned()];
    let down = format!("ws://127.0.0.1:{}", free_tcp_port());
    let mut base = options(server.url().as_str(), &urls, with_file(&folder));
    base["listen"] = json!(format!("127.0.0.1:{port}"));
    for (wrong, code, words) in [
        (
            json!({ "listen": format!("127.0.0.1:{taken}") }),
            Code::ConfigInvalid,
            "is in use by another program",
        ),
        (
            json!({ "livekit": { "apiSecret": "wrong" } }),
            Code::ConfigInvalid,
            "refused the API key or secret",
        ),
        (
            json!({ "livekit": { "apiKey": "nobody" } }),
            Code::ConfigInvalid,
            "refused the API key or secret",
        ),
        (
            json!({ "livekit": { "url": down }, "startTimeoutMs": 300 }),
            Code::TransportFailed,
            "no connection to livekit.url within 300 ms",
        ),
        (
            json!({ "store": folder.path().to_string_lossy() }),
            Code::StoreUnavailable,
            "cannot be written",
        ),
    ] {
        let mut options = base.clone();
        for (key, value) in wrong.as_object().unwrap() {
            match value {
                Value::Object(inner) => inner.iter().for_each(|(k, v)| options[key][k] = v.clone()),
                value => options[key] = value.clone(),
            }
        }
        let Err(error) = start(&options).await else {
            panic!("{wrong} started")
        };
        assert_eq!(error.code, code, "{error}");
        assert!(
            error.message.contains(words) && error.message.lines().count() == 1,
            "{error}"
        );
    }
    drop(listener);
    // Neither the port nor the store is still held.
    let dispatcher = start(&base).await.expect("it starts");
    let Err(second) = start(&options(server.url().as_str(), &urls, with_file(&folder))).await
    else {
        panic!("two on one store")
    };
    assert_eq!(second.code, Code::StoreUnavailable);
    assert!(
        second.message.contains("in use by another process"),
        "{second}"
    );
    dispatcher.close().await;
    dispatcher.close().await;
    assert!(dispatcher.next_events(1_000).await.is_some());
    assert!(dispatcher.next_events(1_000).await.is_none());
    start(&base).await.expect("it starts again").close().await;
}

#[tokio::test]
async fn a_running_job_outlives_a_restart_of_the_dispatcher() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Receiver::start([]).await;
    let port = free_tcp_port();
    let mut more = with_file(&folder);
    more["listen"] = json!(format!("127.0.0.1:{port}"));
    let mut bench = Bench::start(&[&agent], more.clone()).await;
    bench.dispatch("r1").await;
    let request = agent.next().await;
    let (job_id, bearer) = (request.text("job_id"), request.text("status_token"));
    bench.event("delivered").await;
    bench
        .status(job_id, bearer, json!({ "status": "JS_RUNNING" }))
        .await;
    bench.dispatcher.close().await;

    bench.dispatcher = start(&options(bench.server.url().as_str(), &[agent.url()], more))
        .await
        .expect("it starts again");
    assert_eq!(bench.dispatcher.active_jobs(), 1);
    let success = bench
        .status(job_id, bearer, json!({ "status": "JS_SUCCESS" }))
        .await;
    assert_eq!(success.status, 200);
    assert_eq!(bench.event("jobEnded").await["status"], "success");
    assert!(agent.is_quiet(), "a delivered job is not delivered again");
}

/// Runs a dispatcher in a process of its own, told by a variable, until it is killed.
#[tokio::test]
async fn child_process_that_dispatches_until_it_is_killed() {
    let Ok(options) = std::env::var(CHILD) else {
        return;
    };
    let config = Config::from_options(&options).expect("a configuration");
    let dispatcher = Dispatcher::start(config).await.expect("it starts");
    println!("\nstarted");
    while let Some(events) = dispatcher.next_events(100).await {
        for event in events {
            println!("\n{}", serde_json::to_string(&event).expect("JSON"));
        }
    }
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Process {
    fn start(options: &Value) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "start::child_process_that_dispatches_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, options.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Process { child, lines };
        process.line("started");
        process
    }

    fn line(&mut self, text: &str) -> String {
        let lines = self.lines.by_ref().map_while(Result::ok);
        lines
            .into_iter()
            .find(|line| line.contains(text))
            .unwrap_or_else(|| panic!("no line with {text}"))
    }

    /// As the kernel would on a bad day: no handler runs.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_a_delivery_is_continued_by_the_next_start() {
    let server = LiveKitServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Receiver::start([Reply::Hang, Reply::Hang]).await;
    let mut options = options(server.url().as_str(), &[agent.url()], with_file(&folder));
    options["listen"] = json!(format!("127.0.0.1:{}", free_tcp_port()));
    options["agents"][0]["endpoints"][0]["timeoutMs"] = json!(20_000);

    let process = Process::start(&options);
    server.create_dispatch("r1", AGENT, "").await;
    let first = agent.next().await;
    process.kill();
    let process = Process::start(&options);
    let second = agent.next().await;
    process.kill();
    let mut process = Process::start(&options);
    let third = agent.next().await;
    process.line("\"delivered\"");

    assert_eq!(first.text("job_id"), third.text("job_id"));
    assert_eq!(first.text("access_token"), third.text("access_token"));
    assert_eq!(first.header("webhook-id"), third.header("webhook-id"));
    for request in [&first, &second, &third] {
        request.verified();
        assert_eq!(
            request.body["attempt"], 1,
            "an attempt without an outcome is made once more"
        );
    }
    // Whichever bearer the agent got hold of, it can report with it.
    let address = options["listen"].as_str().unwrap().parse().unwrap();
    for request in [&first, &second, &third] {
        let answer = report(
            address,
            third.text("job_id"),
            request.text("status_token"),
            json!({ "status": "JS_RUNNING" }),
        )
        .await;
        assert_eq!(answer.status, 200);
    }
    process.kill();
    let bytes = std::fs::read(folder.path().join("jobs.db")).unwrap();
    for secret in [
        first.text("status_token"),
        crate::receiver::SECRET,
        crate::support::API_SECRET,
    ] {
        assert!(!bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restart_cannot_continue_is_accounted_for_as_failed() {
    let server = LiveKitServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Receiver::start([Reply::Hang]).await;
    let mut options = options(server.url().as_str(), &[agent.url()], with_file(&folder));
    let process = Process::start(&options);
    server.create_dispatch("r1", AGENT, "").await;
    agent.next().await;
    process.kill();
    options["agents"][0]["name"] = json!("another");
    let mut process = Process::start(&options);
    let ended = process.line("jobEnded");
    assert!(
        ended.contains("failed") && ended.contains("no longer configured"),
        "{ended}"
    );
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn f_d4_who_may_have_taken_the_job_before_a_kill_9_is_told_when_it_goes_to_another() {
    let server = LiveKitServer::start();
    let folder = tempfile::tempdir().unwrap();
    let mut first = Receiver::start([Reply::Hang, Reply::Status(404)]).await;
    let mut second = Receiver::start([]).await;
    let urls = [first.url(), second.url()];
    let options = options(server.url().as_str(), &urls, with_file(&folder));
    let process = Process::start(&options);
    server.create_dispatch("r1", AGENT, "").await;
    first.next().await;
    process.kill();
    let process = Process::start(&options);
    assert_eq!(first.next().await.body["event"], "job");
    assert_eq!(second.next().await.body["event"], "job");
    assert_eq!(first.next().await.text("reason"), "cancelled");
    process.kill();
}

#[tokio::test]
async fn f_d1_livekit_is_told_the_load_of_jobs_from_before_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Receiver::start([]).await;
    let mut more = with_file(&folder);
    more["maxJobs"] = json!(1);
    let server = LiveKitServer::telling_what_it_hears();
    let mut bench = Bench::on(server, &[agent.url()], more.clone()).await;
    bench.dispatch("r1").await;
    agent.next().await;
    bench.event("delivered").await;
    bench.dispatcher.close().await;
    let told = |bench: &Bench| {
        let log = bench.server.log();
        log.lines().filter(|line| line.contains("WS_FULL")).count()
    };
    let before = told(&bench);
    bench.dispatcher = start(&options(bench.server.url().as_str(), &[agent.url()], more))
        .await
        .expect("it starts again");
    for _ in 0..250 {
        if told(&bench) > before {
            return;
        }
        // Another process's file; there is no event to wait for.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("LiveKit was not told:\n{}", bench.server.log());
}

#[tokio::test]
async fn f_d5_agents_report_while_livekit_is_slow_and_no_job_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Receiver::start([]).await;
    let mut bench = Bench::start(&[&agent], with_file(&folder)).await;
    bench.dispatch("r1").await;
    let request = agent.next().await;
    bench.event("delivered").await;
    bench.dispatcher.close().await;
    // A LiveKit that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_url = format!("ws://{}", silent.local_addr().unwrap());
    let port = free_tcp_port();
    let mut options = options(&silent_url, &[agent.url()], with_file(&folder));
    options["listen"] = json!(format!("127.0.0.1:{port}"));
    options["startTimeoutMs"] = json!(3_000);
    let slow = options.clone();
    let starting = tokio::spawn(async move { start(&slow).await.map(drop) });
    let _connection = silent.accept().await.unwrap();
    let address = ([127, 0, 0, 1], port).into();
    let (job_id, token) = (request.text("job_id"), request.text("status_token"));
    let running = json!({ "status": "JS_RUNNING" });
    // The jobs of the earlier run are back before LiveKit is: nobody waits for it, and none of them is unknown.
    let early = report(address, job_id, token, running.clone()).await;
    assert_eq!(early.status, 200);
    assert_eq!(http(address, "GET", "/health", "", b"").await.status, 200);
    assert_eq!(http(address, "GET", "/ready", "", b"").await.status, 503);
    assert!(starting.await.unwrap().is_err());
    options["livekit"]["url"] = json!(bench.server.url().as_str());
    let again = start(&options).await.unwrap();
    let late = report(address, job_id, token, running).await;
    assert_eq!((late.status, again.active_jobs()), (200, 1));
    again.close().await;
}
