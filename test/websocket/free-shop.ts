import { seller } from '../support/accounts.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { answerWith, startStubFacilitator } from '../support/stub-facilitator.ts'

const closings: (() => unknown)[] = []

/** Stops what was started, the last first. */
export async function stopAll(): Promise<void> {
  for (const close of closings.splice(0).reverse()) await close()
}

export function onStop<T extends { close(): unknown }>(started: T): T {
  closings.push(() => started.close())
  return started
}

/** A gateway whose routes need no chain: free ones, and one whose price nobody pays. */
export async function startShop(apiUrl: string, routes: string, server = ''): Promise<TestGateway> {
  const kinds = [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }]
  const supported = answerWith({ kinds, extensions: [], signers: {} })
  const facilitator = onStop(await startStubFacilitator(supported))
  return onStop(
    await startTestGateway(`
server: {listen: "127.0.0.1:0"${server}}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${facilitator.url}"]
upstreams: {api: {url: "${apiUrl}"}}
routes:
${routes}
`),
  )
}

/** The head of a handshake, as every client writes it. */
export function handshakeTo(target: string, extra = ''): string {
  return (
    `GET ${target} HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${extra}\r\n`
  )
}

/** The answer to the key above (RFC 6455 section 1.3). */
export const ACCEPTED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'
