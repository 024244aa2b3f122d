// LiveKit's numbers with the names `@livekit/rtc-node` gives them. They are the wire's: nothing here may be renumbered.

/** The state of a room's connection. */
export enum ConnectionState {
  CONN_DISCONNECTED = 0,
  CONN_CONNECTED = 1,
  CONN_RECONNECTING = 2,
}

/** Why a room or participant was disconnected. */
export enum DisconnectReason {
  UNKNOWN_REASON = 0,
  /** The client left by itself. */
  CLIENT_INITIATED = 1,
  /** Somebody with the same identity joined. */
  DUPLICATE_IDENTITY = 2,
  /** The server shuts down. */
  SERVER_SHUTDOWN = 3,
  /** The participant was removed through the server API. */
  PARTICIPANT_REMOVED = 4,
  /** The room was deleted through the server API. */
  ROOM_DELETED = 5,
  /** The client tried to resume a session the server no longer knows. */
  STATE_MISMATCH = 6,
  /** The client could not join fully. */
  JOIN_FAILURE = 7,
  /** The room moves to another server. */
  MIGRATION = 8,
  /** The signal connection closed unexpectedly. */
  SIGNAL_CLOSE = 9,
  /** The room closed because everybody left. */
  ROOM_CLOSED = 10,
  USER_UNAVAILABLE = 11,
  USER_REJECTED = 12,
  SIP_TRUNK_FAILURE = 13,
  CONNECTION_TIMEOUT = 14,
  MEDIA_FAILURE = 15,
  AGENT_ERROR = 16,
}

/** What a track carries. */
export enum TrackKind {
  KIND_UNKNOWN = 0,
  KIND_AUDIO = 1,
  KIND_VIDEO = 2,
}

/** Where a track comes from. */
export enum TrackSource {
  SOURCE_UNKNOWN = 0,
  SOURCE_CAMERA = 1,
  SOURCE_MICROPHONE = 2,
  SOURCE_SCREENSHARE = 3,
  SOURCE_SCREENSHARE_AUDIO = 4,
}

/** Whether the server currently sends a track. */
export enum StreamState {
  STATE_UNKNOWN = 0,
  STATE_ACTIVE = 1,
  STATE_PAUSED = 2,
}

/** What a participant is. */
export enum ParticipantKind {
  STANDARD = 0,
  INGRESS = 1,
  EGRESS = 2,
  SIP = 3,
  AGENT = 4,
  CONNECTOR = 5,
  BRIDGE = 6,
}

/** More about what a participant is. */
export enum ParticipantKindDetail {
  CLOUD_AGENT = 0,
  FORWARDED = 1,
  CONNECTOR_WHATSAPP = 2,
  CONNECTOR_TWILIO = 3,
  BRIDGE_RTSP = 4,
  SIMULATION = 5,
}

/** How good a participant's connection is. */
export enum ConnectionQuality {
  QUALITY_POOR = 0,
  QUALITY_GOOD = 1,
  QUALITY_EXCELLENT = 2,
  QUALITY_LOST = 3,
}

/** How a data packet travels. */
export enum DataPacketKind {
  KIND_LOSSY = 0,
  KIND_RELIABLE = 1,
}

/** How a publication is encrypted between participants. */
export enum EncryptionType {
  NONE = 0,
  GCM = 1,
  CUSTOM = 2,
}

/** Which candidates ICE may use. */
export enum IceTransportType {
  TRANSPORT_RELAY = 0,
  TRANSPORT_NOHOST = 1,
  TRANSPORT_ALL = 2,
}

/** Whether ICE goes on gathering candidates. */
export enum ContinualGatheringPolicy {
  GATHER_ONCE = 0,
  GATHER_CONTINUALLY = 1,
}

/** A fault `Room.simulateScenario` acts out. */
export enum SimulateScenarioKind {
  /** The signal connection closes; the client resumes. */
  SIMULATE_SIGNAL_RECONNECT = 0,
  SIMULATE_SPEAKER = 1,
  SIMULATE_NODE_FAILURE = 2,
  /** The server tells the client to leave for good. */
  SIMULATE_SERVER_LEAVE = 3,
  SIMULATE_MIGRATION = 4,
  SIMULATE_FORCE_TCP = 5,
  SIMULATE_FORCE_TLS = 6,
  /** The client reconnects from scratch and publishes its tracks again. */
  SIMULATE_FULL_RECONNECT = 7,
  /** The signal connection closes again during the resume, which then becomes a full reconnect. */
  SIMULATE_DISCONNECT_SIGNAL_ON_RESUME = 8,
}
