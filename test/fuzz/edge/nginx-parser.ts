import { once } from 'node:events'
import { connect } from 'node:net'
import { startNginx, whyNoNginx } from '../../support/nginx.ts'
import { describeRequest, type Parser } from './parsers.ts'

/** A real nginx reads the bytes, on a connection of their own. Null where there is none. */
export async function openNginxParser(): Promise<{
  readonly parse: Parser
  close(): Promise<void>
} | null> {
  if (whyNoNginx() !== null) return null
  const nginx = await startNginx()
  const parse: Parser = async bytes => {
    const client = connect({ path: nginx.socket })
    client.on('error', () => {})
    client.resume()
    // It answers what it has read whole, and then sees that nothing more comes.
    client.end(bytes)
    await once(client, 'close')
    const whole = (await nginx.take()).filter(({ status }) => status === 200)
    const requests = whole.map(({ method, target, body }) => describeRequest(method, target, body))
    return { requests, broke: false, unfinished: false }
  }
  return { parse, close: nginx.close }
}
