import { framesOf } from '../../corpus/http2-entries.ts'
import {
  connectRawHttp2,
  FRAME,
  NO_TABLE,
  type RawHttp2,
  statusOf,
} from '../../support/http2-client.ts'
import type { FuzzClient } from './fuzz-client.ts'
import { type Conversation, changedConversations } from './http2-conversations.ts'
import { readConversation, sortStreams } from './http2-reading.ts'

const PATIENCE_MS = 100

/** Says frames. @param ca Who has issued the certificate of the gateway. */
export function overHttp2(url: string, ca: string): FuzzClient<Conversation> {
  return {
    messages: changedConversations,
    show: JSON.stringify,
    read: async conversation => readConversation(conversation),
    async exchange(conversation) {
      const client = await connectRawHttp2(url, ca, NO_TABLE)
      client.send(framesOf({ send: [...conversation] }))
      const timer = setTimeout(() => client.destroy(), PATIENCE_MS)
      const { ended, open } = sortStreams(conversation)
      const isOver = await areAnswered(client, new Set(ended))
      clearTimeout(timer)
      client.destroy()
      return isOver && open.length === 0
    },
  }
}

/** False: the connection was ended before. */
async function areAnswered(client: RawHttp2, waiting: Set<number>): Promise<boolean> {
  while (waiting.size > 0) {
    const frame = await client.next().catch(() => null)
    if (frame === null || frame.type === FRAME.goaway) return false
    const { type, stream, payload } = frame
    if (type === FRAME.rstStream || (type === FRAME.headers && statusOf(payload) >= 200)) {
      waiting.delete(stream)
    }
  }
  return true
}
