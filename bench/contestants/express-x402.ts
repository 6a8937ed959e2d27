/** What the x402 project publishes for Express, in front of http-proxy-3. */
import { Agent } from 'node:http'
import { HTTPFacilitatorClient, x402ResourceServer } from '@x402/core/server'
import { ExactEvmScheme } from '@x402/evm/exact/server'
import { paymentMiddleware } from '@x402/express'
import express from 'express'
import { createProxyServer } from 'http-proxy-3'

const [port, upstream = '', facilitator = '', payTo = ''] = process.argv.slice(2)
const client = new HTTPFacilitatorClient({ url: facilitator })
const resources = new x402ResourceServer(client).register('eip155:84532', new ExactEvmScheme())
const accepts = { scheme: 'exact', price: '$0.001', network: 'eip155:84532', payTo } as const
const agent = new Agent({ keepAlive: true, maxSockets: 128 })
const proxy = createProxyServer({ target: upstream, agent })
proxy.on('error', (_error, _request, response) => void response.destroy())

const app = express()
app.disable('x-powered-by')
app.use(paymentMiddleware({ 'GET /paid': { accepts } }, resources))
app.use((request, response) => void proxy.web(request, response))
const server = app.listen(Number(port), '127.0.0.1')
server.keepAliveTimeout = 75_000
