import { seller } from '../support/accounts.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { answerWith, startStubFacilitator } from '../support/stub-facilitator.ts'

export interface Shop extends AsyncDisposable {
  readonly gateway: TestGateway
  /** Requests that farebox says it has sent on, whatever became of them. */
  forwarded(): number
}

/** A gateway with free routes, a priced one, and one host name: "shop.test". */
export async function openShop(upstreamUrl: string): Promise<Shop> {
  const kinds = [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }]
  const supported = answerWith({ kinds, extensions: [], signers: {} })
  const facilitator = await startStubFacilitator(supported)
  const gateway = await startTestGateway(`
server: {listen: "127.0.0.1:0", hosts: [shop.test]}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${facilitator.url}"]
upstreams: {api: {url: "${upstreamUrl}"}}
routes:
  /free/*: free
  /ws/*: {price: free, websocket: true}
  GET /paid: $0.001
`)
  return {
    gateway,
    forwarded: () => gateway.logs.filter(({ upstreamMs }) => upstreamMs !== undefined).length,
    async [Symbol.asyncDispose]() {
      await gateway.close()
      await facilitator.close()
    },
  }
}
