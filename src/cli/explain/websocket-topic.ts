import { formatDuration, formatSize } from '../../config/values.ts'
import { type Line, ownPath, type Topic } from './topic.ts'

/** What becomes of a WebSocket handshake. */
export const websocketTopic: Topic = {
  title: 'WEBSOCKET',
  lines(subject) {
    const { upstream, route } = subject
    if (upstream === null) return []
    const { websocket } = route
    const value = websocket === null ? 'is a plain request' : 'opens a tunnel'
    const handshake = { label: 'a handshake', value, at: [ownPath(subject, 'websocket')] }
    if (websocket === null) return [handshake]
    const line = (label: string, key: string, limit: string): Line => {
      return { label, value: limit, at: [ownPath(subject, 'websocket', key)] }
    }
    return [
      handshake,
      line('stays open for', 'maxDuration', formatDuration(websocket.durationMsMax)),
      line('carries up to', 'maxBytes', formatSize(websocket.bytesMax)),
      line('is silent for', 'idleTimeout', formatDuration(websocket.idleMsMax)),
      line('open at once, for each process', 'maxOpen', String(websocket.openMax)),
    ]
  },
}
