import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

export interface RawUpstream {
  readonly url: string
  /** Connections accepted so far, oldest first. */
  readonly connections: readonly Socket[]
  /** Requests heads seen so far, as text with one character a byte. */
  readonly heads: readonly string[]
  close(): Promise<void>
}

/**
 * A server that answers with exactly the bytes that the test wants, HTTP or not.
 *
 * @param answer Called for each request head that arrives on a connection.
 */
export async function startRawUpstream(
  answer: (socket: Socket, head: string) => void,
): Promise<RawUpstream> {
  const connections: Socket[] = []
  const heads: string[] = []
  const server = createServer(socket => {
    connections.push(socket)
    socket.on('error', () => {})
    let text = ''
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end !== -1; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4)
        text = text.slice(end + 4)
        heads.push(head)
        answer(socket, head)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return {
    url: `http://127.0.0.1:${address.port}`,
    connections,
    heads,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of connections) socket.destroy()
      await closed
    },
  }
}
