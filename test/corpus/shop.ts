import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { seller } from '../support/accounts.ts'
import type { Certificate } from '../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { answerWith, startStubFacilitator } from '../support/stub-facilitator.ts'

export interface Shop extends AsyncDisposable {
  readonly gateway: TestGateway
  /** Requests that farebox says it has sent on, whatever became of them. */
  forwarded(): number
}

interface ShopOptions {
  /** Callers come over TLS, and may choose HTTP/2. Default: plain HTTP. */
  readonly certificate?: Certificate
  /** The upstream is asked over HTTP/2. */
  readonly http2?: boolean
}

/** A gateway with free routes, a priced one, and one host name: "shop.test". */
export async function openShop(
  upstreamUrl: string,
  { certificate, http2 = false }: ShopOptions = {},
): Promise<Shop> {
  const tls = certificate === undefined ? '' : ', tls: {cert: tls.crt, key: tls.key}'
  const kinds = [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }]
  const supported = answerWith({ kinds, extensions: [], signers: {} })
  const facilitator = await startStubFacilitator(supported)
  const yaml = `
server: {listen: "127.0.0.1:0", hosts: [shop.test]${tls}}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${facilitator.url}"]
upstreams: {api: {url: "${upstreamUrl}", http2: ${http2}}}
routes:
  /free/*: free
  /ws/*: {price: free, websocket: true}
  GET /paid: $0.001
`
  const gateway = await startTestGateway(yaml, {
    async prepare(folder) {
      if (certificate === undefined) return
      await writeFile(join(folder, 'tls.crt'), certificate.cert)
      await writeFile(join(folder, 'tls.key'), certificate.key)
    },
  })
  return {
    gateway,
    forwarded: () => gateway.logs.filter(({ upstreamMs }) => upstreamMs !== undefined).length,
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await facilitator.close()
    },
  }
}
