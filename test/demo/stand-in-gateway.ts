import { readFile } from 'node:fs/promises'
import {
  decodePaymentSignatureHeader,
  encodePaymentRequiredHeader,
  encodePaymentResponseHeader,
  HTTPFacilitatorClient,
} from '@x402/core/http'
import type { StartGateway } from '../../demo/world.ts'
import { seller } from '../support/accounts.ts'
import { TOKEN_ADDRESS } from '../support/chain.ts'
import { serveLocally } from '../support/json-server.ts'

/** What a gateway can get wrong, and the demo must notice. */
export type Flaw = 'none' | 'serves-twice' | 'never-settles' | 'charges-nothing'

const OFFER = {
  scheme: 'exact',
  network: 'eip155:84532' as const,
  amount: '1000',
  asset: TOKEN_ADDRESS,
  payTo: seller.address,
  maxTimeoutSeconds: 60,
  extra: { name: 'USDC', version: '2' },
}

/** As little of a gateway as the steps need, with one flaw: the real one has none to show. */
export function standInGateway(flaw: Flaw): StartGateway {
  return async ({ configFile }) => {
    const text = await readFile(configFile, 'utf8')
    const facilitatorUrl = /facilitators: \["([^"]+)"\]/.exec(text)?.[1] ?? ''
    const facilitator = new HTTPFacilitatorClient({ url: facilitatorUrl })
    const used = new Set<string>()
    const server = await serveLocally(async (request, response) => {
      const header = request.headers['payment-signature']
      if (typeof header !== 'string') {
        const resource = { url: request.url ?? '/', description: '', mimeType: '' }
        const challenge = { x402Version: 2, resource, accepts: [OFFER] }
        response.setHeader('payment-required', encodePaymentRequiredHeader(challenge))
        response.writeHead(402).end('{}')
        return
      }
      if (used.has(header)) {
        response.writeHead(409).end('{"code":"payment_already_used"}')
        return
      }
      if (flaw !== 'serves-twice') used.add(header)
      const payment = decodePaymentSignatureHeader(header)
      const unsettled = { success: true, transaction: `0x${'11'.repeat(32)}` } as const
      const receipt =
        flaw === 'charges-nothing'
          ? { ...unsettled, network: OFFER.network }
          : await facilitator.settle(payment, OFFER)
      if (flaw !== 'never-settles') {
        response.setHeader('payment-response', encodePaymentResponseHeader(receipt))
      }
      response.writeHead(200).end('{"city":"paris"}')
    })
    return { url: server.url, adminUrl: null, close: server.close }
  }
}
