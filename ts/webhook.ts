// `roomhook/webhook`: verify and sign job webhooks, without an agent, a room or the media library.

export type { JobParticipant, JobRoom, JobType } from './agent/job-info.js'
export type { AgentSecret, AgentSecrets } from './agent/options.js'
export { ConfigError, RoomhookError, WebhookError } from './base/errors.js'
export type { JobNotification, JobOffer, JobTermination, JobWebhook, WebhookFields } from './webhook/fields.js'
export type { WebhookHeaders } from './webhook/headers.js'
export {
  createWebhookVerifier,
  type SignWebhookOptions,
  signWebhook,
  type VerifyWebhookOptions,
  verifyWebhook,
  type WebhookVerifier,
} from './webhook/webhook.js'
