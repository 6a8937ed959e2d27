import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Wire {
  /** Those that are HTTP. */
  readonly bytes: Buffer
  /** What came when the upstream had agreed to change protocols; null: it has not. */
  readonly tunnel: Buffer | null
  /** Ends the connection: nothing of it comes any more. */
  cut(): void
}

export interface Tap {
  readonly url: string
  /** What has come on each connection since it was last asked. */
  take(): Wire[]
  close(): Promise<void>
}

interface Copy {
  readonly chunks: Buffer[]
  tunnel: Buffer[] | null
}

/** Stands in front of the recorder and keeps a copy of every byte. */
export async function startTap(url: string): Promise<Tap> {
  const { hostname, port } = new URL(url)
  const wires = new Map<Socket, Copy>()
  const server = createServer(socket => {
    const behind = connect({ host: hostname, port: Number(port) })
    const copy: Copy = { chunks: [], tunnel: null }
    wires.set(socket, copy)
    socket.on('data', (chunk: Buffer) => {
      const kept = copy.tunnel ?? copy.chunks
      kept.push(chunk)
      behind.write(chunk)
    })
    behind.on('data', (chunk: Buffer) => {
      if (chunk.includes('HTTP/1.1 101 ')) copy.tunnel ??= []
      socket.write(chunk)
    })
    socket.on('error', () => {}).on('close', () => behind.destroy())
    behind.on('error', () => {}).on('close', () => socket.destroy())
  })
  const cut = (socket: Socket): void => {
    wires.delete(socket)
    socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${own}`,
    take() {
      const taken: Wire[] = []
      for (const [socket, { chunks, tunnel }] of wires) {
        const bytes = Buffer.concat(chunks.splice(0))
        const wire = { bytes, tunnel: tunnel && Buffer.concat(tunnel), cut: () => cut(socket) }
        if (bytes.length > 0 || tunnel !== null) taken.push(wire)
        if (socket.destroyed) wires.delete(socket)
      }
      return taken
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of wires.keys()) socket.destroy()
      await closed
    },
  }
}
