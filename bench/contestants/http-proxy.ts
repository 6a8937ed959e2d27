/** http-proxy-3 alone, with kept-alive connections, which it does not have by itself. */
import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

const [port, upstream = ''] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: 128 })
const proxy = createProxyServer({ target: upstream, agent })
proxy.on('error', (_error, _request, response) => void response.destroy())

const server = createServer((request, response) => void proxy.web(request, response))
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')
