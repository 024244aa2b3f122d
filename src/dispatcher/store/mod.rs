//! The durable store of the dispatcher: one SQLite file, one thread, records in and out.
//!
//! Decides when a record counts as written: after the commit that holds it, and for a durable one after the disk has
//! it. Records that arrive together share a commit. It refuses to open what it does not know, and keeps no token
//! longer than the record it is given does. A record in memory (`:memory:`) is forgotten with the process.

mod rows;
mod schema;

use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::dispatcher::config::StorePath;
use crate::dispatcher::machine::Record;
use crate::error::{Code, Error};
use crate::id::JobId;

/// How many calls may wait for the store's thread; further ones wait for a place.
const QUEUE: usize = 1_024;
/// How many records share a commit at most.
const GROUP: usize = 256;

/// Why the store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store {path} is in use by another process; stop that one, or give each dispatcher a store of its own")]
    InUse { path: String },
    /// It is not ours, or from a newer version.
    #[error("{path} is not a roomhook store of this version, and it was left as it is; name another file or move it away")]
    Foreign { path: String },
    /// Its content is broken.
    #[error("the store {path} is damaged, and it was left as it is; restore a copy, or move it away to start empty")]
    Damaged { path: String },
    /// It cannot be created or written.
    #[error("the store {path} cannot be written: {why}")]
    Unwritable { path: String, why: String },
    /// The disk is full.
    #[error("the store {path} cannot be written: the disk is full")]
    Full { path: String },
    #[error("the store {path} failed: {why}")]
    Failed { path: String, why: String },
    #[error("the store is closed")]
    Closed,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Full { .. } | StoreError::InUse { .. } => {
                Error::retryable(Code::StoreUnavailable, message)
            }
            _ => Error::new(Code::StoreUnavailable, message),
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Command {
    Save(Box<Record>, bool, Reply<()>),
    Unfinished(Reply<Vec<Record>>),
    EndedSince(i64, usize, Reply<Vec<Record>>),
    Find(JobId, Reply<Option<Record>>),
    Purge(i64, Reply<usize>),
    Close,
}

/// A handle on the store's thread, which ends with `close` or when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Store {
    commands: mpsc::Sender<Command>,
}

/// Waits for the store's thread to have let go of the file.
#[derive(Debug)]
pub struct StoreThread(JoinHandle<()>);

impl StoreThread {
    /// Blocks until the thread has ended and the file is closed.
    pub fn join(self) {
        // A panic of the thread has already been answered: every call since has said so.
        let _ = self.0.join();
    }
}

impl Store {
    /// Opens or creates the store. Blocks for as long as the disk does.
    pub fn open(path: &StorePath) -> Result<(Store, StoreThread), StoreError> {
        let (name, connection) = match path {
            StorePath::Memory => (":memory:".to_owned(), schema::open_memory()?),
            StorePath::File(path) => (path.clone(), schema::open_file(path)?),
        };
        let (commands, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("roomhook-store".to_owned())
            .spawn(move || {
                Writer {
                    name,
                    connection,
                    full_sync: None,
                }
                .run(queue)
            })
            .map_err(|error| StoreError::Failed {
                path: "thread".to_owned(),
                why: error.to_string(),
            })?;
        Ok((Store { commands }, StoreThread(thread)))
    }

    /// Writes a record over the older one of the same job. Calls from one task are written in their order.
    /// `durable` waits for the disk, so that it survives a power failure; otherwise it survives a crash.
    pub async fn save(&self, record: Box<Record>, durable: bool) -> Result<(), StoreError> {
        self.call(|reply| Command::Save(record, durable, reply))
            .await
    }

    /// Every job that has not ended, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Record>, StoreError> {
        self.call(Command::Unfinished).await
    }

    /// The last jobs that ended after this time (Unix milliseconds), at most `max`, in the order of their ends.
    pub async fn ended_since(&self, since: i64, max: usize) -> Result<Vec<Record>, StoreError> {
        self.call(|reply| Command::EndedSince(since, max, reply))
            .await
    }

    /// One job, ended or not.
    pub async fn find(&self, job_id: JobId) -> Result<Option<Record>, StoreError> {
        self.call(|reply| Command::Find(job_id, reply)).await
    }

    /// Deletes jobs that ended before this time (Unix milliseconds) and returns how many there were.
    pub async fn purge(&self, ended_before: i64) -> Result<usize, StoreError> {
        self.call(|reply| Command::Purge(ended_before, reply)).await
    }

    /// Ends the thread once what was asked before is done. Later calls say that the store is closed.
    pub async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.commands.send(Command::Close).await;
    }

    async fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

struct Writer {
    name: String,
    connection: Connection,
    full_sync: Option<bool>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut next = queue.blocking_recv();
        while let Some(command) = next.take() {
            match command {
                Command::Save(record, durable, reply) => {
                    let mut group = vec![(record, reply)];
                    let mut durable = durable;
                    while group.len() < GROUP {
                        match queue.try_recv() {
                            Ok(Command::Save(record, also_durable, reply)) => {
                                durable |= also_durable;
                                group.push((record, reply));
                            }
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.save(group, durable);
                }
                Command::Unfinished(reply) => {
                    let _ = reply.send(self.described(rows::unfinished(&self.connection)));
                }
                Command::EndedSince(since, max, reply) => {
                    let found = rows::ended_since(&self.connection, since, max);
                    let _ = reply.send(self.described(found));
                }
                Command::Find(job_id, reply) => {
                    let _ =
                        reply.send(self.described(rows::find(&self.connection, job_id.as_str())));
                }
                Command::Close => return,
                Command::Purge(ended_before, reply) => {
                    let _ = reply.send(self.described(rows::purge(&self.connection, ended_before)));
                }
            }
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
    }

    fn described<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| schema::describe(&self.name, &error))
    }

    fn save(&mut self, group: Vec<(Box<Record>, Reply<()>)>, durable: bool) {
        let outcome = self.commit(&group, durable);
        let outcome = self.described(outcome);
        for (_, reply) in group {
            let _ = reply.send(outcome.clone());
        }
    }

    fn commit(
        &mut self,
        group: &[(Box<Record>, Reply<()>)],
        durable: bool,
    ) -> rusqlite::Result<()> {
        if self.full_sync != Some(durable) {
            let level = if durable { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.full_sync = Some(durable);
        }
        let transaction = self.connection.transaction()?;
        for (record, _) in group {
            rows::save(&transaction, record)?;
        }
        transaction.commit()
    }
}
