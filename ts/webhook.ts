// `roomhook/webhook`: verify and sign job webhooks, without an agent, a room or the media library.

export { ConfigError, RoomhookError, WebhookError } from './base/errors.js'
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
