import { accessTopic } from './access-topic.ts'
import { limitsTopic } from './limits-topic.ts'
import { offersTopic, priceTopic } from './price-topics.ts'
import type { Topic } from './topic.ts'
import { healthTopic, upstreamTlsTopic } from './upstream-topics.ts'
import { corsTopic, wayTopic } from './way-topics.ts'
import { websocketTopic } from './websocket-topic.ts'
import { writtenTopic } from './written-topic.ts'

/** In the order in which they are shown. */
export const TOPICS: readonly Topic[] = [
  priceTopic,
  offersTopic,
  accessTopic,
  wayTopic,
  healthTopic,
  upstreamTlsTopic,
  websocketTopic,
  corsTopic,
  limitsTopic,
  writtenTopic,
]
