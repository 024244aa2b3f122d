// The package's front door: what a user imports from `roomhook`.

import './base/core-log.js'

export { type Agent, createAgent } from './agent/agent.js'
export type { RateLimit } from './agent/gate.js'
export {
  currentJob,
  type Job,
  type JobEndReason,
  type JobEventMap,
  type JobResult,
  type JobStatus,
  type JoinedRoom,
  type ShutdownFunction,
} from './agent/job.js'
export type { AcceptOptions, JobRequest } from './agent/job-request.js'
export type { NodeHandler } from './agent/node-http.js'
export type { AgentOptions } from './agent/options.js'
export type { WaitForParticipantOptions } from './agent/participants.js'
export type { AgentEventMap } from './agent/receiver.js'
export type { WaitOptions } from './base/abort.js'
export {
  ClosedError,
  ConfigError,
  ConnectionError,
  DeliveryError,
  type ErrorCode,
  JobError,
  RoomhookError,
  type RoomhookErrorOptions,
  WebhookError,
} from './base/errors.js'
export { type LogLevel, type LogRecord, setLogger } from './base/log.js'
export { createDispatcher, type Dispatcher, type DispatcherAddress } from './dispatcher/dispatcher.js'
export type {
  DispatcherEndpointEvent,
  DispatcherEvent,
  DispatcherEventMap,
  DispatcherJobEvent,
} from './dispatcher/events.js'
export type {
  DispatcherAgentOptions,
  DispatcherEndpointOptions,
  DispatcherOptions,
  DispatcherRetryOptions,
} from './dispatcher/options.js'
export { AudioFrame, type AudioFrameLike } from './room/audio-frame.js'
export { AudioSource } from './room/audio-source.js'
export { AudioStream, type AudioStreamOptions } from './room/audio-stream.js'
export { preloadEngine } from './room/engine.js'
export {
  ConnectionQuality,
  ConnectionState,
  ContinualGatheringPolicy,
  DataPacketKind,
  DisconnectReason,
  EncryptionType,
  IceTransportType,
  ParticipantKind,
  ParticipantKindDetail,
  SimulateScenarioKind,
  StreamState,
  TrackKind,
  TrackSource,
} from './room/enums.js'
export { RoomEvent, type RoomEventMap } from './room/events.js'
export { type DataPublishOptions, LocalParticipant } from './room/local-participant.js'
export { type IceServer, type RoomOptions, type RtcConfiguration, TrackPublishOptions } from './room/options.js'
export { Participant, RemoteParticipant } from './room/participant.js'
export { LocalTrackPublication, RemoteTrackPublication, TrackPublication } from './room/publication.js'
export { Room } from './room/room.js'
export {
  type AudioTrack,
  LocalAudioTrack,
  type LocalTrack,
  RemoteAudioTrack,
  type RemoteTrack,
  RemoteVideoTrack,
  Track,
} from './room/track.js'
export type { WebhookHeaders } from './webhook/headers.js'
export type {
  JobInfo,
  JobNotification,
  JobOffer,
  JobParticipant,
  JobRoom,
  JobTermination,
  JobType,
  JobWebhook,
  WebhookFields,
} from './webhook/notification.js'
export type { AgentSecret, AgentSecrets } from './webhook/secrets.js'
export {
  createWebhookVerifier,
  type SignWebhookOptions,
  signWebhook,
  type VerifyWebhookOptions,
  verifyWebhook,
  type WebhookVerifier,
} from './webhook/webhook.js'
