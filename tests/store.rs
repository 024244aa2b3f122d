//! The store against real files: what survives, what is refused, what is erased.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use roomhook::dispatcher::config::StorePath;
use roomhook::dispatcher::machine::{Bearer, Delivery, Record, Stage, Token};
use roomhook::dispatcher::store::{Store, StoreError};
use roomhook::id::{JobId, Pii, Secret};
use roomhook::words::JobStatus;

const CHILD: &str = "ROOMHOOK_TEST_STORE";

fn record(job_id: &str) -> Box<Record> {
    let job = serde_json::from_value(serde_json::json!({
        "id": job_id, "dispatch_id": "AD_1", "job_type": "JT_ROOM", "agent_name": "a", "deployment": "",
        "room": {"sid": "RM_1", "name": "r", "created_at": 5, "metadata": "", "num_participants": 0},
        "participant": null, "metadata": "with \"quotes\" and é\u{0}", "attributes": {"k": "v"},
    }))
    .expect("the record's job is of the right shape");
    Box::new(Record {
        job,
        identity: Pii("agent-é".to_owned()),
        stage: Stage::Delivering,
        status: JobStatus::Pending,
        error: None,
        bearers: [(1, "b1"), (1, "b2")]
            .map(|(delivery, hash)| Bearer {
                delivery,
                hash: hash.to_owned(),
            })
            .to_vec(),
        token: Some(Token {
            jwt: Secret::new("sesame-token".to_owned()),
            url: Some("wss://x.example".to_owned()),
        }),
        token_expires_at: Some(9),
        delivery: Some(Delivery {
            number: 1,
            url: "https://e.example/".to_owned(),
            attempt: 2,
            started_at: 5,
            cancelled: true,
        }),
        terminated_at: None,
        created_at: 1,
        updated_at: 7,
        ended_at: None,
    })
}

fn ended(job_id: &str, at: i64) -> Box<Record> {
    Box::new(Record {
        stage: Stage::Ended,
        status: JobStatus::Failed,
        error: Some("why".to_owned()),
        token: None,
        ended_at: Some(at),
        ..*record(job_id)
    })
}

fn file(folder: &tempfile::TempDir) -> StorePath {
    StorePath::File(path(folder))
}

fn path(folder: &tempfile::TempDir) -> String {
    folder.path().join("jobs.db").to_string_lossy().into_owned()
}

#[tokio::test]
async fn a_record_comes_back_as_it_was_after_reopening_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, thread) = Store::open(&file(&folder)).unwrap();
    let mut first = record("AJ_2");
    first.created_at = 2;
    let mut later = first.clone();
    later.delivery = first.delivery.clone().map(|delivery| Delivery {
        number: 2,
        ..delivery
    });
    store.save(first, false).await.unwrap();
    store.save(later.clone(), true).await.unwrap();
    store.save(record("AJ_1"), true).await.unwrap();
    store.save(ended("AJ_0", 10), true).await.unwrap();
    drop(store);
    thread.join();
    let (store, thread) = Store::open(&file(&folder)).unwrap();
    let unfinished = store.unfinished().await.unwrap();
    assert_eq!(unfinished, [*record("AJ_1"), *later]);
    let found = store.find(JobId::from("AJ_0")).await.unwrap();
    assert_eq!(found.as_ref(), Some(&*ended("AJ_0", 10)));
    assert_eq!(store.find(JobId::from("AJ_9")).await.unwrap(), None);
    assert_eq!(store.purge(11).await.unwrap(), 1);
    assert_eq!(store.find(JobId::from("AJ_0")).await.unwrap(), None);
    drop(store);
    thread.join();
}

#[tokio::test]
async fn a_file_of_the_first_version_is_moved_forward() {
    let folder = tempfile::tempdir().unwrap();
    let (store, thread) = Store::open(&file(&folder)).unwrap();
    store.save(record("AJ_1"), true).await.unwrap();
    drop(store);
    thread.join();
    let old = rusqlite::Connection::open(path(&folder)).unwrap();
    old.execute_batch(
        r#"ALTER TABLE deliveries DROP COLUMN cancelled; UPDATE jobs SET bearers = '["b1","b2"]'; PRAGMA user_version = 1;"#,
    )
    .unwrap();
    drop(old);
    let (store, _thread) = Store::open(&file(&folder)).unwrap();
    let mut moved = record("AJ_1");
    if let Some(delivery) = &mut moved.delivery {
        delivery.cancelled = false;
    }
    assert_eq!(store.unfinished().await.unwrap(), [*moved]);
}

#[tokio::test]
async fn a_store_in_memory_works_and_forgets() {
    for _ in 0..2 {
        let (store, _thread) = Store::open(&StorePath::Memory).unwrap();
        assert_eq!(store.unfinished().await.unwrap(), []);
        store.save(record("AJ_1"), true).await.unwrap();
        assert_eq!(store.unfinished().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_token_is_erased_with_the_record_that_no_longer_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let (store, thread) = Store::open(&file(&folder)).unwrap();
    store.save(record("AJ_1"), true).await.unwrap();
    store.save(ended("AJ_1", 10), true).await.unwrap();
    drop(store);
    thread.join();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"sesame-token"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (store, _thread) = Store::open(&file(&folder)).unwrap();
    store.save(record("AJ_1"), true).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_second_dispatcher_on_the_same_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, _thread) = Store::open(&file(&folder)).unwrap();
    let error = Store::open(&file(&folder)).unwrap_err();
    assert_eq!(
        error,
        StoreError::InUse {
            path: path(&folder)
        }
    );
}

#[test]
fn a_foreign_a_damaged_and_a_newer_file_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let name = path(&folder);
    std::fs::write(&name, "this is a text file, and a long enough one to be looked at as a database header by SQLite, which it is not").unwrap();
    let before = std::fs::read(&name).unwrap();
    assert_eq!(
        Store::open(&file(&folder)).unwrap_err(),
        StoreError::Foreign { path: name.clone() }
    );
    assert_eq!(std::fs::read(&name).unwrap(), before);

    let other = rusqlite::Connection::open(folder.path().join("other.db")).unwrap();
    other
        .execute_batch("CREATE TABLE jobs (mine TEXT)")
        .unwrap();
    drop(other);
    let other = folder
        .path()
        .join("other.db")
        .to_string_lossy()
        .into_owned();
    let refused = Store::open(&StorePath::File(other.clone())).unwrap_err();
    assert_eq!(refused, StoreError::Foreign { path: other });

    std::fs::remove_file(&name).unwrap();
    let (store, thread) = Store::open(&file(&folder)).unwrap();
    drop(store);
    thread.join();
    let newer = rusqlite::Connection::open(&name).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    assert_eq!(
        Store::open(&file(&folder)).unwrap_err(),
        StoreError::Foreign { path: name.clone() }
    );

    let intact = rusqlite::Connection::open(&name).unwrap();
    intact.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(intact);
    let mut bytes = std::fs::read(&name).unwrap();
    for byte in bytes.iter_mut().skip(4_096).step_by(3) {
        *byte = 0xa5;
    }
    std::fs::write(&name, bytes).unwrap();
    assert_eq!(
        Store::open(&file(&folder)).unwrap_err(),
        StoreError::Damaged { path: name }
    );
}

#[test]
fn f_d14_a_folder_that_is_not_there_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder
        .path()
        .join("no/such/folder/jobs.db")
        .to_string_lossy()
        .into_owned();
    let error = Store::open(&StorePath::File(name)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("cannot be written: its folder does not exist; create it first"),
        "{error}"
    );
    assert_eq!(error.to_string().lines().count(), 1);
}

#[tokio::test]
async fn many_records_at_once_are_all_written_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _thread) = Store::open(&file(&folder)).unwrap();
    let jobs = (0..500).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let id = format!("AJ_{n}");
            store.save(record(&id), false).await.unwrap();
            store.save(ended(&id, 10), n % 7 == 0).await.unwrap();
        })
    });
    futures_util::future::join_all(jobs)
        .await
        .into_iter()
        .for_each(|done| done.unwrap());
    assert_eq!(store.unfinished().await.unwrap(), []);
    assert_eq!(store.purge(i64::MAX).await.unwrap(), 500);
}

#[test]
fn child_process_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (store, _thread) = Store::open(&StorePath::File(path)).unwrap();
        for n in 0.. {
            store
                .save(record(&format!("AJ_{n}")), n % 2 == 0)
                .await
                .unwrap();
            println!("\nwritten {n}");
        }
    });
}

#[tokio::test]
async fn whatever_was_confirmed_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child_process_that_writes_until_it_is_killed",
                "--nocapture",
            ])
            .env(CHILD, path(&folder))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut written = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("written ")?.parse::<usize>().ok());
        let last = written
            .find(|n| *n >= 20 + 7 * round)
            .expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        let (store, thread) = Store::open(&file(&folder)).unwrap();
        let found = store.unfinished().await.unwrap();
        assert!(found.len() > last, "{} of {last}", found.len());
        drop(store);
        thread.join();
    }
}
