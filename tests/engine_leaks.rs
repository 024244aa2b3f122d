//! Rooms leave nothing behind: no thread, no file, no object of the library, and less than 1 MB each.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use std::time::{Duration, Instant};

use engine_support::{
    end, engine, join, microphone, play, publishing, soon, source, subscribed, taking_back, ten_ms,
    Ear,
};
use roomhook::engine::{Connected, EngineRoom, NativeEngine};
use support::LiveKitServer;

const ROOMS: usize = 20;

/// Threads of the library may outlast their room by ten seconds: that long it waits for a server's last word.
const PATIENCE: Duration = Duration::from_secs(30);

const WORKER: &str = "tokio-rt-worker";
/// The engine's bound on the library's workers.
const MOST_WORKERS: usize = 4;

/// The threads of one room, or of one track, stream or join: after a room, none of them.
const OF_ROOMS: [&str; 4] = [
    "AudioEncoder",
    "AudioSourceCapt",
    "DecodingQueue",
    "IncomingVideoSt",
];

/// The threads of the library's media engine, which rooms share: one of each, if any.
const SHARED: [&str; 5] = [
    "network_thread",
    "worker_thread 0",
    "signaling_threa",
    "SyntheticAudioD",
    "rtc-low-prio",
];

fn resident_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value
        .and_then(|value| value.parse().ok())
        .expect("a number")
}

/// What this process holds. Rooms that were left add nothing to it once the first have been.
#[derive(Debug)]
struct Held {
    threads: Vec<String>,
    files: usize,
    handles: i64,
}

impl Held {
    fn now() -> Held {
        let entries = |of: &str| std::fs::read_dir(of).expect("Linux").flatten();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        let names = entries("/proc/self/task").filter_map(|task| name(task).ok());
        let mut threads: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
        threads.sort();
        Held {
            threads,
            files: entries("/proc/self/fd").count(),
            handles: NativeEngine::open_handles(),
        }
    }

    fn count(&self, name: &str) -> usize {
        self.threads.iter().filter(|thread| *thread == name).count()
    }

    /// Whether no room is left in it. The library has a worker per processor; more of them end when they are idle.
    fn is_rest(&self) -> bool {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = processors.min(MOST_WORKERS);
        self.handles == 0
            && self.count(WORKER) == workers
            && OF_ROOMS.iter().all(|name| self.count(name) == 0)
            && SHARED.iter().all(|name| self.count(name) <= 1)
    }
}

/// Waits for what the process holds to be as it should: nobody tells when a thread of the library has ended.
async fn settle(what: &str, right: impl Fn(&Held) -> bool) -> Held {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let began = Instant::now();
    loop {
        let held = Held::now();
        if right(&held) {
            return held;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waited for {what}, got {held:?}"
        );
        pace.tick().await;
    }
}

/// When a room with a track is left.
#[derive(Clone, Copy)]
enum Leave {
    Published,
    Publishing,
    TakingBack,
}

/// Leaves a room in which a track is published, is being published, or is being taken back.
async fn publish_and(agent: &Connected, leave: Leave) {
    let track = source(1_000).create_track("voice").expect("a track");
    let room: &dyn EngineRoom = agent.room.as_ref();
    let publishing = publishing(room, &track, microphone());
    if matches!(leave, Leave::Publishing) {
        let (published, left) = tokio::join!(publishing, room.disconnect());
        published.expect("published");
        return left.expect("left");
    }
    let publication = publishing.await.expect("published");
    if matches!(leave, Leave::TakingBack) {
        let sid = &publication.info().sid;
        let (back, left) = tokio::join!(taking_back(room, sid), room.disconnect());
        back.expect("taken back");
        return left.expect("left");
    }
    room.disconnect().await.expect("left");
}

/// Sound flows into the room, to a second participant, and is listened to.
async fn listen(server: &LiveKitServer, agent: &Connected, name: &str) {
    let source = source(1_000);
    let track = source.create_track("voice").expect("a track");
    let publishing = publishing(&*agent.room, &track, microphone());
    let _publication = publishing.await.expect("published");
    let playing = play(source);
    let mut other = join(server, name, "other").await;
    let heard = subscribed(&mut other).await;
    let (ear, mut frames) = Ear::new();
    let stream = heard.audio_stream(ten_ms(), ear).expect("a stream");
    soon("a frame", frames.recv()).await;
    drop(stream);
    playing.abort();
    let _ = playing.await;
    other.room.disconnect().await.expect("left");
    end(&mut other).await;
}

/// Joins and leaves as many rooms at once: with nothing published, with sound, and in the midst of publishing.
async fn cycle(server: &LiveKitServer, rooms: usize, round: usize) {
    let mut open = Vec::new();
    for number in 0..rooms {
        let name = format!("leak-{round}-{number}");
        open.push((join(server, &name, "agent").await, name));
    }
    for (number, (mut agent, name)) in open.into_iter().enumerate() {
        match number % 5 {
            0 => listen(server, &agent, &name).await,
            1 => publish_and(&agent, Leave::Published).await,
            2 => publish_and(&agent, Leave::Publishing).await,
            3 => publish_and(&agent, Leave::TakingBack).await,
            _ => {
                // Left by being dropped.
                drop(agent.room);
                let ended = async { while agent.events.recv().await.is_some() {} };
                soon("the end of the events", ended).await;
                continue;
            }
        }
        agent.room.disconnect().await.expect("left");
        end(&mut agent).await;
    }
}

#[tokio::test]
async fn twenty_rooms_joined_and_left_leave_nothing_behind() {
    let server = LiveKitServer::start();
    engine();
    // Loaded on this thread, so that no worker of the test gives its name to a thread of the library.
    NativeEngine::load().expect("the library");
    // Threads that come with the first rooms and stay with the process: the media engine, our own for errands.
    cycle(&server, ROOMS, 0).await;
    let before = settle("no room", Held::is_rest).await;
    let memory = resident_kb();
    cycle(&server, ROOMS, 1).await;
    let same =
        |now: &Held| now.is_rest() && now.threads == before.threads && now.files <= before.files;
    settle(&format!("{before:?}"), same).await;
    let grown = resident_kb().saturating_sub(memory);
    println!("{grown} kB grown by {ROOMS} rooms");
    assert!(grown < ROOMS * 1_024, "{grown} kB grown by {ROOMS} rooms");
}
