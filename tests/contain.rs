//! A panic in the native core is an error for whoever waits, and the runtime goes on.
#![allow(clippy::panic)]

use roomhook::contain;
use roomhook::contain::Panicked;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_future_that_panics_at_once_or_later_is_an_error_and_its_thread_works_on() {
    let now = contain::future(async { panic!("at once") });
    assert_eq!(
        tokio::spawn(now).await.expect("no panic"),
        Err::<(), _>(Panicked)
    );
    let later = contain::future(async {
        tokio::task::yield_now().await;
        panic!("later")
    });
    assert_eq!(
        tokio::spawn(later).await.expect("no panic"),
        Err::<(), _>(Panicked)
    );
    let fine = contain::future(async { 7 });
    assert_eq!(tokio::spawn(fine).await.expect("no panic"), Ok(7));
}

#[test]
fn a_call_that_panics_is_an_error_without_the_panics_words() {
    let panicked = contain::call(|| panic!("secret")).map(|(): ()| ());
    let words = panicked.expect_err("it panicked").to_string();
    assert!(words.contains("please report it"), "{words}");
    assert!(!words.contains("secret"), "{words}");
    assert_eq!(contain::call(|| 7), Ok(7));
}
