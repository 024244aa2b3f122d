//! Rooms leave nothing behind: no thread, no object of the library, and less than 1 MB each.
#![allow(clippy::panic)]

mod engine_support;
mod support;

use std::time::Duration;

use engine_support::end;
use engine_support::engine;
use engine_support::join;
use engine_support::microphone;
use engine_support::play;
use engine_support::soon;
use engine_support::source;
use engine_support::subscribed;
use engine_support::ten_ms;
use engine_support::Ear;
use engine_support::PATIENCE;
use roomhook::engine::NativeEngine;
use support::LiveKitServer;

const ROOMS: usize = 20;

/// A line of /proc/self/status, in its own unit.
fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(key));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value
        .and_then(|value| value.parse().ok())
        .expect("a number")
}

/// Joins and leaves as many rooms at once; in the first of each five sound flows.
async fn cycle(server: &LiveKitServer, rooms: usize, round: usize) {
    let mut open = Vec::new();
    for number in 0..rooms {
        let name = format!("leak-{round}-{number}");
        open.push((join(server, &name, "agent").await, name));
    }
    for (agent, name) in open.iter_mut().step_by(5) {
        let source = source(1_000);
        let track = source.create_track("voice").expect("a track");
        let publishing = agent.room.publish_track(track.as_ref(), microphone());
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
    for (mut agent, _) in open {
        agent.room.disconnect().await.expect("left");
        end(&mut agent).await;
    }
}

/// The names of all threads, for the message of a failure.
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    let names = tasks.flatten().filter_map(|task| name(task).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

/// Waits until the threads of closed rooms have ended; the library tells nobody when they have.
async fn settle(most: usize) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let gone = async {
        while status("Threads:") > most || NativeEngine::open_handles() > 0 {
            pace.tick().await;
        }
    };
    let settled = tokio::time::timeout(PATIENCE, gone).await;
    let (threads, handles) = (threads(), NativeEngine::open_handles());
    assert!(
        settled.is_ok(),
        "left over: {handles} handles; expected {most} threads, got {threads:?}"
    );
}

#[tokio::test]
async fn twenty_rooms_joined_and_left_leave_nothing_behind() {
    let server = LiveKitServer::start();
    engine();
    NativeEngine::load().expect("the library");
    // Threads that come with the first rooms and may stay, however many rooms follow: one of the library for audio,
    // five of its media engine, one of ours for chores, one of the test's HTTP client.
    let threads = status("Threads:") + 8;
    cycle(&server, ROOMS, 0).await;
    settle(threads).await;
    let memory = status("VmRSS:");
    cycle(&server, ROOMS, 1).await;
    settle(threads).await;
    let grown = status("VmRSS:").saturating_sub(memory);
    println!("{grown} kB grown by {ROOMS} rooms");
    assert!(grown < ROOMS * 1_024, "{grown} kB grown by {ROOMS} rooms");
}
