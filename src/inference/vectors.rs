//! The shared vectors, read from this side; `__test__/inference/headers.test.ts` reads them from the other.

use std::collections::HashMap;

use serde_json::Value;

use crate::id::Secret;
use crate::inference::merge::{Given, Header, Layers};
use crate::inference::metadata::{JobView, Priority, RoomState};
use crate::inference::name::{DropReason, HeaderName, HeaderValue};
use crate::inference::{encode, gateway, hook, merge, metadata, name, quota};

fn cases(section: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/headers.json"))
        .expect("the vectors are JSON");
    let cases = file[section]
        .as_array()
        .expect("the section exists")
        .clone();
    assert!(!cases.is_empty());
    cases
}

fn text(value: &Value) -> String {
    match &value["repeat"] {
        Value::Array(pair) => {
            let times = usize::try_from(pair[1].as_u64().unwrap()).unwrap();
            pair[0].as_str().unwrap().repeat(times)
        }
        _ => value
            .as_str()
            .expect("a text or a repeated text")
            .to_owned(),
    }
}

fn reason<T>(result: Result<T, DropReason>) -> Option<&'static str> {
    result.err().map(DropReason::as_str)
}

fn pairs(value: &Value) -> Vec<(String, Option<String>)> {
    let pair = |pair: &Value| {
        let value = pair[1].as_str().map(str::to_owned);
        (pair[0].as_str().unwrap().to_owned(), value)
    };
    value
        .as_array()
        .map(|pairs| pairs.iter().map(pair).collect())
        .unwrap_or_default()
}

fn given(pairs: &[(String, Option<String>)]) -> Vec<Given<'_>> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect()
}

#[test]
fn names_and_values_are_judged_as_the_vectors_say() {
    for case in cases("names") {
        let name = text(&case["name"]);
        assert_eq!(
            reason(HeaderName::parse(&name)),
            case["reason"].as_str(),
            "{name:?}"
        );
    }
    for case in cases("values") {
        let value = text(&case["value"]);
        assert_eq!(
            reason(HeaderValue::parse(&value)),
            case["call"].as_str(),
            "{value:?}"
        );
        assert_eq!(
            reason(HeaderValue::parse_own(&value)),
            case["own"].as_str(),
            "{value:?}"
        );
    }
    for case in cases("printable") {
        assert_eq!(name::printable_name(&text(&case[0])), text(&case[1]));
    }
}

#[test]
fn s0_09_requests_merge_as_the_vectors_say() {
    for case in cases("merge") {
        let title = case["title"].as_str().unwrap();
        let hook: Vec<Header> = pairs(&case["hook"])
            .into_iter()
            .map(|(name, value)| hook::check_entry(&name, &value.unwrap(), false).unwrap())
            .collect();
        let call = pairs(&case["call"]);
        let own = pairs(&case["own"]);
        let mut dropped = Vec::new();
        let layers = Layers {
            user_agent: "roomhook/0.0.0 (node v20.0.0)",
            hook: &hook,
            call: &given(&call),
            own: &given(&own),
            forbid_transport: case["forbidTransport"] == true,
        };
        let merged = merge::merge(&layers, |name, reason| {
            dropped.push((name::printable_name(name), Some(reason.as_str().to_owned())));
        });
        let merged: Vec<_> = merged
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), Some(value.expose().to_owned())))
            .collect();
        assert_eq!(merged, pairs(&case["expect"]), "{title}");
        assert_eq!(dropped, pairs(&case["dropped"]), "{title}");
    }
}

#[test]
fn s2_14_entries_of_hooks_are_judged_as_the_vectors_say() {
    for case in cases("hookEntries") {
        let name = text(&case["name"]);
        let result = hook::check_entry(&name, &text(&case["value"]), case["allowApiKey"] == true);
        assert_eq!(reason(result), case["reason"].as_str(), "{name:?}");
    }
}

#[test]
fn s0_01_s0_02_s0_03_s0_07_metadata_is_built_as_the_vectors_say() {
    for case in cases("metadata") {
        let job = &case["job"];
        let view = job.is_object().then(|| JobView {
            room_sid: job["roomSid"].as_str(),
            job_id: job["jobId"].as_str(),
            room_state: match job["roomState"].as_str().unwrap() {
                "new" => RoomState::New,
                "connecting" => RoomState::Connecting,
                "connected" => RoomState::Connected,
                "reconnecting" => RoomState::Reconnecting,
                "disconnected" => RoomState::Disconnected,
                _ => RoomState::Closed,
            },
            worker_token: job["workerToken"].as_str(),
            session_id: None,
        });
        let headers = metadata::metadata(
            view.as_ref(),
            || job["agentSid"].as_str().map(str::to_owned),
            case["provider"].as_str(),
            case["priority"].as_str().and_then(Priority::parse),
        );
        let headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Some(value)))
            .collect();
        assert_eq!(headers, pairs(&case["expect"]), "{}", case["title"]);
    }
}

#[test]
fn texts_are_percent_encoded_as_the_vectors_say() {
    for case in cases("percent") {
        assert_eq!(encode::percent_encode(&text(&case[0])), text(&case[1]));
    }
}

#[test]
fn quotas_are_read_as_the_vectors_say() {
    for case in cases("quota") {
        let headers = pairs(&case["headers"]);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()))
            .collect();
        let quota = quota::parse(&headers);
        assert_eq!(quota.is_some(), case["expect"].is_object());
        let quota = quota.unwrap_or_default();
        for (field, found) in [
            ("rpmLimit", quota.rpm_limit),
            ("rpmUsed", quota.rpm_used),
            ("tpmLimit", quota.tpm_limit),
            ("tpmUsed", quota.tpm_used),
            ("creditsLimit", quota.credits_limit),
            ("creditsUsed", quota.credits_used),
        ] {
            assert_eq!(found, case["expect"][field].as_f64(), "{field}");
        }
    }
}

#[test]
fn s0_14_the_gateway_is_found_as_the_vectors_say() {
    let environment = |case: &Value| -> HashMap<String, String> {
        serde_json::from_value(case["env"].clone()).unwrap()
    };
    for case in cases("gateway") {
        let env = environment(&case);
        match gateway::base_url(case["baseURL"].as_str(), &|name| env.get(name).cloned()) {
            Ok(url) => assert_eq!(
                Some(url.as_str()),
                case["url"].as_str(),
                "{}",
                case["title"]
            ),
            Err(error) => assert_eq!(
                Some(error.to_string().as_str()),
                case["error"].as_str(),
                "{}",
                case["title"]
            ),
        }
    }
    for case in cases("keys") {
        let env = environment(&case);
        let keys = gateway::keys(
            case["apiKey"].as_str(),
            case["apiSecret"].as_str(),
            &|name| env.get(name).cloned(),
        );
        match keys {
            Ok(keys) => {
                assert_eq!(Some(keys.api_key.as_str()), case["expect"][0].as_str());
                let secret = Secret::new(case["expect"][1].as_str().unwrap().to_owned());
                assert!(keys.api_secret == secret, "{}", case["title"]);
            }
            Err(error) => {
                let start = case["error"].as_str().expect("an error is expected");
                assert!(error.to_string().starts_with(start), "{}", case["title"]);
            }
        }
    }
}
