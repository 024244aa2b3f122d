//! What is kept of one job: everything a restart needs, and nothing else.
//!
//! Decides what a record holds, what a reported status does to it, and how long its texts may be. It refuses to keep a
//! join token longer than a delivery needs it, and to print names, metadata or tokens.

use serde::{Deserialize, Serialize};

use crate::id::{JobId, Pii, Secret};
use crate::words::JobStatus;
use crate::worker::protocol::Job;

/// How far a job has come. Later stages are larger; only another delivery takes a job back to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// LiveKit asked; nothing is written yet.
    Offered,
    /// Written down, then answered with "available".
    Answered,
    /// LiveKit assigned it and sent the token.
    Assigned,
    /// Attempts are under way.
    Delivering,
    /// An endpoint took it.
    Delivered,
    /// The agent is in the room.
    Running,
    /// Over, for whatever reason.
    Ended,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Offered,
        Stage::Answered,
        Stage::Assigned,
        Stage::Delivering,
        Stage::Delivered,
        Stage::Running,
        Stage::Ended,
    ];

    /// The stage as it is stored and reported.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Offered => "offered",
            Stage::Answered => "answered",
            Stage::Assigned => "assigned",
            Stage::Delivering => "delivering",
            Stage::Delivered => "delivered",
            Stage::Running => "running",
            Stage::Ended => "ended",
        }
    }
}

/// The join token of a job, kept until its agent is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token as LiveKit minted it.
    pub jwt: Secret<String>,
    /// Where to join, if LiveKit said so.
    pub url: Option<String>,
}

/// What is kept of a status bearer that was handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bearer {
    /// The delivery it speaks for.
    pub delivery: u32,
    /// Its SHA-256 in hex.
    pub hash: String,
}

/// Who reports a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// The agent that was asked by the delivery with this number.
    Delivery(u32),
    /// Somebody with a LiveKit API token for the room.
    RoomAdmin,
}

/// The delivery under way, or the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which delivery of the job this is, from 1.
    pub number: u32,
    pub url: String,
    /// The attempt under way, or the last one; from 1.
    pub attempt: u32,
    /// When the first attempt at this endpoint began, in Unix milliseconds.
    pub started_at: i64,
    /// It was given up in doubt: whoever was asked by it has the job no longer.
    pub cancelled: bool,
}

/// Everything a restart needs to know about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub job: Job,
    /// The identity the agent joins with.
    pub identity: Pii<String>,
    /// How far it has come.
    pub stage: Stage,
    /// What is known of the outcome.
    pub status: JobStatus,
    pub error: Option<String>,
    /// Every status bearer handed out for it.
    pub bearers: Vec<Bearer>,
    /// The join token, while it is still needed.
    pub token: Option<Token>,
    /// When the join token expires, in Unix milliseconds.
    pub token_expires_at: Option<i64>,
    /// The delivery, once there is one.
    pub delivery: Option<Delivery>,
    /// LiveKit ended the job and the agent has not reported since: when that was, in Unix milliseconds.
    pub terminated_at: Option<i64>,
    /// When LiveKit offered it, in Unix milliseconds.
    pub created_at: i64,
    /// When this record was last changed, in Unix milliseconds.
    pub updated_at: i64,
    /// When it ended, in Unix milliseconds.
    pub ended_at: Option<i64>,
}

impl Record {
    pub fn job_id(&self) -> &JobId {
        &self.job.id
    }

    /// What a report is judged by.
    pub fn say(&self) -> Say {
        Say {
            status: self.status,
            delivery: self.delivery.as_ref().map(|delivery| delivery.number),
            cancelled: (self.delivery.as_ref()).is_some_and(|delivery| delivery.cancelled),
        }
    }
}

/// Who has a say about a job: the part of its record that reports are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Say {
    pub status: JobStatus,
    /// The delivery under way, or the last one.
    pub delivery: Option<u32>,
    /// It was given up in doubt.
    pub cancelled: bool,
}

impl Say {
    /// What becomes of a status that this one reports. Only the delivery under way has a say.
    pub fn judge(self, reporter: Reporter, status: JobStatus) -> StatusRule {
        let has_a_say = match reporter {
            Reporter::Delivery(number) => !self.cancelled && self.delivery == Some(number),
            Reporter::RoomAdmin => !self.cancelled || self.status.is_terminal(),
        };
        match has_a_say {
            true => judge_status(self.status, status),
            false => StatusRule::Conflict,
        }
    }
}

/// What becomes of a reported status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRule {
    Apply,
    /// It is known already.
    Repeat,
    /// It contradicts a final status, or comes from somebody who has no say.
    Conflict,
}

/// The status machine: pending → running → success or failed; final ones stay.
fn judge_status(current: JobStatus, reported: JobStatus) -> StatusRule {
    if current == reported {
        StatusRule::Repeat
    } else if current.is_terminal() {
        StatusRule::Conflict
    } else {
        StatusRule::Apply
    }
}

/// Cuts an error text to what is kept: 1 KiB, at a character's edge.
pub fn cut_error(text: &str) -> String {
    const LIMIT: usize = 1_024;
    if text.len() <= LIMIT {
        return text.to_owned();
    }
    let mut end = LIMIT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_status_stays_and_a_repeat_is_no_news() {
        use JobStatus::*;
        for (current, reported, rule) in [
            (Pending, Running, StatusRule::Apply),
            (Pending, Success, StatusRule::Apply),
            (Pending, Failed, StatusRule::Apply),
            (Running, Running, StatusRule::Repeat),
            (Running, Success, StatusRule::Apply),
            (Success, Success, StatusRule::Repeat),
            (Success, Failed, StatusRule::Conflict),
            (Success, Running, StatusRule::Conflict),
            (Failed, Running, StatusRule::Conflict),
            (Failed, Failed, StatusRule::Repeat),
        ] {
            assert_eq!(
                judge_status(current, reported),
                rule,
                "{current:?} {reported:?}"
            );
        }
    }

    #[test]
    fn an_error_is_cut_to_1_kib_between_characters() {
        assert_eq!(cut_error("short"), "short");
        let cut = cut_error(&format!("x{}", "é".repeat(1_000)));
        assert_eq!(cut.len(), 1_023);
    }
}
