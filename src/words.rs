//! LiveKit's words that more than one home says: what a job is for, how it fares, why it ended. It decides how they are
//! spelt on every wire and in every store, and nothing else.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$each])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word),+
                }
            }

            /// What a word means; `None` for one of a later version.
            pub fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words!(
    /// What a job is about (`livekit_agent.proto`).
    JobType {
        /// One job per room.
        Room = "JT_ROOM",
        /// One job per participant that publishes a first track.
        Publisher = "JT_PUBLISHER",
        /// One job per participant.
        Participant = "JT_PARTICIPANT",
    }
);

words!(
    /// How a job fares (`livekit_agent.proto`). The last two are final.
    JobStatus {
        /// Where every job begins; nobody reports it.
        Pending = "JS_PENDING",
        Running = "JS_RUNNING",
        Success = "JS_SUCCESS",
        Failed = "JS_FAILED",
    }
);

impl JobStatus {
    /// Whether nothing follows it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, JobStatus::Success | JobStatus::Failed)
    }

    /// What programs read; LiveKit's own word is for the wire.
    pub const fn state(self) -> &'static str {
        match self {
            JobStatus::Pending => "pending",
            JobStatus::Running => "running",
            JobStatus::Success => "success",
            JobStatus::Failed => "failed",
        }
    }
}

words!(
    /// Why the dispatcher ended a job: the `reason` of a `terminated` webhook (docs/webhook-protocol.md §1).
    TerminationReason {
        /// The agent dispatch was deleted. LiveKit does not say why it ends a job; this is what it is called then.
        DispatchDeleted = "dispatch_deleted",
        /// LiveKit saw the agent leave.
        AgentLeft = "agent_left",
        RoomClosed = "room_closed",
        /// Another endpoint gets the job, or nobody does.
        Cancelled = "cancelled",
        /// The job's time is over.
        Expired = "expired",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written_and_an_unknown_one_is_none() {
        for word in JobStatus::ALL {
            assert_eq!(JobStatus::parse(word.as_str()), Some(*word));
            let json = serde_json::to_string(word).unwrap();
            assert_eq!(json, format!("\"{}\"", word.as_str()));
        }
        assert_eq!(JobType::parse("JT_ROOM"), Some(JobType::Room));
        assert_eq!(TerminationReason::parse("Cancelled"), None);
    }
}
