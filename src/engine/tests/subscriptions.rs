//! Wishes to subscribe and the order in which the library hears of them.

use std::sync::Arc;

use super::script::Script;
use super::{join, ROOM};
use crate::engine::proto::ffi_request::Message as Ask;
use crate::engine::subscription::APART;
use crate::engine::{Connected, EngineError, EnginePublication};

fn told(script: &Script) -> Vec<bool> {
    let requests = script.requests();
    let told = requests.iter().filter_map(|ask| match ask {
        Ask::SetSubscribed(request) => Some(request.subscribe),
        _ => None,
    });
    told.collect()
}

fn publication(connected: &Connected) -> Arc<dyn EnginePublication> {
    connected.participants[0].1[0].clone()
}

#[tokio::test(start_paused = true)]
async fn wishes_of_one_moment_are_told_apart_and_the_last_one_stands() {
    let (script, core) = Script::accepting();
    let connected = join(&script, &core).await;
    let publication = publication(&connected);
    let wish = |wishes: &[bool]| {
        for wish in wishes {
            publication.set_subscribed(*wish).unwrap();
        }
    };
    wish(&[false, true, false, true]);
    assert_eq!(told(&script), [false]);
    tokio::time::sleep(APART * 3).await;
    assert_eq!(told(&script), [false, true]);
    wish(&[true, true]);
    assert_eq!(told(&script), [false, true, true], "repeated on demand");
    wish(&[false, true, true]);
    tokio::time::sleep(APART + APART / 2).await;
    assert_eq!(told(&script)[3..], [false]);
    tokio::time::sleep(APART).await;
    assert_eq!(told(&script)[3..], [false, true], "a new beginning");
    wish(&[false, true, false]);
    tokio::time::sleep(APART * 3).await;
    assert_eq!(told(&script)[5..], [false]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_waits_is_dropped_with_its_publication() {
    let (script, core) = Script::accepting();
    let connected = join(&script, &core).await;
    let kept = publication(&connected);
    kept.set_subscribed(false).unwrap();
    kept.set_subscribed(true).unwrap();
    drop(kept);
    drop(connected.participants);
    script.given_back(4);
    tokio::time::sleep(APART * 2).await;
    assert_eq!(told(&script), [false]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_would_have_to_wait_is_refused_after_the_room() {
    let (script, core) = Script::accepting();
    let connected = join(&script, &core).await;
    let kept = publication(&connected);
    kept.set_subscribed(false).unwrap();
    core.left(ROOM);
    assert!(matches!(
        kept.set_subscribed(true),
        Err(EngineError::Closed(_))
    ));
}
