import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { startNginx } from '../support/nginx.ts'
import type { CorpusEntry } from './entries.ts'
import type { Recorder, Seen } from './recorders.ts'

/** nginx as an upstream: what it writes down of the headers is what the corpus asks about. */
export async function startNginxRecorder(
  entries: readonly Pick<CorpusEntry, 'has' | 'lacks'>[],
): Promise<Recorder> {
  const asked = entries.flatMap(({ has, lacks }) => [...has.map(nameOf), ...lacks])
  const nginx = await startNginx(asked)
  const front = await startFront(nginx.socket)
  const seen: Seen[] = []
  let begun = 0
  let refused = 0
  return {
    url: front.url,
    seen,
    tellsFirstOnly: true,
    begun: () => begun,
    refused: () => refused,
    async catchUp() {
      const taken = await nginx.take()
      refused = await nginx.refused()
      begun += taken.length
      for (const { method, target, body, headers } of taken.filter(
        ({ status }) => status === 200,
      )) {
        seen.push({ method, target, body, rawHeaders: [...headers].flat() })
      }
    },
    async close() {
      await front.close()
      await nginx.close()
    },
  }
}

function nameOf(header: string): string {
  return header.slice(0, header.indexOf(':')).toLowerCase()
}

/** A port in front of a socket: it hands on bytes, and knows nothing of HTTP. */
async function startFront(path: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const open = new Set<Socket>()
  const server = createServer(socket => {
    const behind = connect({ path })
    open.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => {
        open.delete(socket)
        behind.destroy()
      })
    behind.on('error', () => {}).on('close', () => socket.destroy())
    socket.pipe(behind).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
