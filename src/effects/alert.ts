/** What the world is told: one thing that happened, about one subject. */
export type Alert = {
  readonly type: string;
  readonly subject: string;
  /** RFC 3339. */
  readonly time: string;
  readonly data: unknown;
};

/**
 * The alert as a CloudEvent 1.0 in structured mode, of content type `cloudEventType`. `source` and `id`
 * together name the event: the same key is the same event, so that a receiver can drop a repetition.
 */
export const cloudEvent = ({ type, subject, time, data }: Alert, key: string) => ({
  specversion: '1.0',
  id: key,
  source: '/holdfast',
  type,
  subject,
  time,
  datacontenttype: 'application/json',
  data,
});

export const cloudEventType = 'application/cloudevents+json';
