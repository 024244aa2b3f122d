//! The library's descriptions of rooms, participants, publications and tracks in our words.
//!
//! Decides nothing: fields are carried over, enum-like integers as they are.

use std::collections::HashMap;

use crate::engine::{
    proto, ParticipantInfo, ParticipantPermission, PublicationInfo, RoomInfo, TrackInfo,
};

pub(super) fn room(info: proto::RoomInfo) -> RoomInfo {
    RoomInfo {
        sid: info.sid,
        name: info.name,
        metadata: info.metadata,
        empty_timeout: info.empty_timeout,
        departure_timeout: info.departure_timeout,
        max_participants: info.max_participants,
        creation_time: info.creation_time,
        num_participants: info.num_participants,
        num_publishers: info.num_publishers,
        active_recording: info.active_recording,
    }
}

pub(super) fn participant(info: proto::ParticipantInfo) -> ParticipantInfo {
    ParticipantInfo {
        sid: info.sid,
        name: info.name,
        identity: info.identity,
        metadata: info.metadata,
        attributes: info.attributes,
        kind: info.kind,
        kind_details: info.kind_details,
        state: info.state,
        disconnect_reason: info.disconnect_reason,
        joined_at: info.joined_at,
        permission: info.permission.map(permission),
    }
}

pub(super) fn permission(permission: proto::ParticipantPermission) -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: permission.can_subscribe,
        can_publish: permission.can_publish,
        can_publish_data: permission.can_publish_data,
        hidden: permission.hidden,
        can_publish_sources: permission.can_publish_sources,
        can_update_metadata: permission.can_update_metadata,
        can_subscribe_metrics: permission.can_subscribe_metrics,
    }
}

pub(super) fn publication(info: proto::TrackPublicationInfo) -> PublicationInfo {
    PublicationInfo {
        sid: info.sid,
        name: info.name,
        kind: info.kind,
        source: info.source,
        simulcasted: info.simulcasted,
        width: info.width,
        height: info.height,
        mime_type: info.mime_type,
        muted: info.muted,
        encryption_type: info.encryption_type,
    }
}

pub(super) fn track(info: proto::TrackInfo) -> TrackInfo {
    TrackInfo {
        sid: info.sid,
        name: info.name,
        kind: info.kind,
        stream_state: info.stream_state,
        muted: info.muted,
        remote: info.remote,
    }
}

pub(super) fn attributes(entries: Vec<proto::AttributesEntry>) -> HashMap<String, String> {
    entries
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect()
}
