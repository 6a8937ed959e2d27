import { connectRaw } from '../../support/raw-client.ts'
import type { FuzzClient } from './fuzz-client.ts'
import { mutatedBytes } from './mutations.ts'
import { nodeParser, type Reading } from './parsers.ts'

/** Says raw bytes; what follows a handshake is no request. */
export function overHttp1(url: string): FuzzClient<string> {
  const parse = nodeParser(false, true)
  return {
    messages: mutatedBytes,
    show: JSON.stringify,
    read: bytes => parse(Buffer.from(bytes, 'latin1')),
    exchange: (bytes, asked) => exchange(bytes, url, asked),
  }
}

/** Sends, and waits until everything is answered that will be: false where that took too long. */
async function exchange(bytes: string, url: string, sent: Reading): Promise<boolean> {
  const client = await connectRaw(url)
  client.send(bytes)
  const answersMax = sent.requests.length + (sent.broke ? 1 : 0)
  let received = ''
  const { socket } = client
  const isOver = await new Promise<boolean>(resolve => {
    const timer = setTimeout(resolve, 100, false)
    const done = (): void => {
      clearTimeout(timer)
      resolve(true)
    }
    socket.on('data', chunk => {
      received += chunk.toString('latin1')
      const answers = received.match(/HTTP\/1\.1 (?:101|[2-5]\d\d) /g)?.length ?? 0
      if (answers >= answersMax && hasComeBack(received, sent)) done()
    })
    socket.once('close', done)
  })
  client.destroy()
  await client.closed
  return isOver
}

/** Whether a tunnel that was opened, if one was, has said back all that was sent into it. */
function hasComeBack(received: string, { tunnel }: Reading): boolean {
  const opened = received.indexOf('HTTP/1.1 101 ')
  const start = received.indexOf('\r\n\r\n', opened) + 4
  return opened === -1 || received.length - start >= (tunnel?.length ?? 0)
}
