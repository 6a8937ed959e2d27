import { formatDuration, formatSize } from '../../config/values.ts'
import type { Line, Topic } from './topic.ts'

/** What is refused for being too large, too slow or too much. */
export const limitsTopic: Topic = {
  title: 'LIMITS',
  lines({ config, upstream }) {
    const { headerBytes, bodyBytes, requestTimeoutMs } = config.server.limits
    const server = (label: string, key: string, value: string): Line => {
      return { label, value, at: [['server', 'limits', key]] }
    }
    const at = ['upstreams', upstream?.name ?? '']
    const ofUpstream: Line[] =
      upstream === null
        ? []
        : [
            {
              label: 'connects within',
              value: formatDuration(upstream.connectTimeoutMs),
              at: [[...at, 'connectTimeout']],
            },
            {
              label: 'connections up to',
              value: String(upstream.maxConnections),
              at: [[...at, 'maxConnections']],
            },
          ]
    return [
      server('headers up to', 'headerBytes', formatSize(headerBytes)),
      server('body up to', 'bodyBytes', formatSize(bodyBytes)),
      server('arrives within', 'requestTimeout', formatDuration(requestTimeoutMs)),
      ...ofUpstream,
    ]
  },
}
