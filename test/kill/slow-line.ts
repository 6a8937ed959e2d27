import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface SlowLine {
  readonly port: number
  close(): Promise<void>
}

/**
 * Leads to a port of this machine, as if it were far away. What was sent arrives, also when its
 * sender is dead by then.
 *
 * @param delayMs In each direction.
 */
export async function openSlowLine(to: number, delayMs: number): Promise<SlowLine> {
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    const far = connect(to, '127.0.0.1')
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      sockets.add(socket.once('close', () => sockets.delete(socket)))
    }
    void carry(near, far, delayMs)
    void carry(far, near, delayMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The line has no port.')
  return {
    port: address.port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Chunks stay in order: timers of one length fire in the order in which they were set. */
function carry(from: Socket, to: Socket, delayMs: number): Promise<void> {
  const late = new Writable({
    write(chunk: Buffer, _encoding, done) {
      setTimeout(() => to.write(chunk), delayMs)
      done()
    },
    final(done) {
      setTimeout(() => to.end(), delayMs)
      done()
    },
  })
  const cutOff = (): void => void setTimeout(() => to.destroy(), delayMs)
  return pipeline(from, late).catch(cutOff)
}
