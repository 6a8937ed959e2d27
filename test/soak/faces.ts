import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { weatherYaml } from '../support/gateway.ts'

/** The two configurations between which a gateway is reloaded: everything in them differs. */
export const FACES = ['red', 'blue'] as const
export type Face = (typeof FACES)[number]

/** In atomic units of the test dollar. */
export const PRICE: Readonly<Record<Face, string>> = { red: '1000', blue: '2000' }

export const originOf = (face: Face): string => `https://${face}.example`

export interface FaceApi {
  readonly url: string
  /** Connections that are open now. */
  readonly connections: number
  close(): Promise<void>
}

const EVENTS = 5
const EVENT_EVERY_MS = 60

/**
 * The API of one face. It answers with its own name, and with what the gateway told it: a request
 * that was matched under one configuration and sent under the other would say both names.
 */
export async function startFaceApi(face: Face): Promise<FaceApi> {
  const server = createServer((request, response) => {
    response.on('error', () => {})
    const { 'x-face': told = 'nobody', 'farebox-amount': amount = null } = request.headers
    const said = JSON.stringify({ api: face, told, amount })
    if (request.url?.includes('events')) stream(response, said)
    else {
      request.resume().once('end', () => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(said)
      })
    }
  })
  let connections = 0
  server.on('connection', socket => {
    connections++
    socket.once('close', () => connections--)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', 1024)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}`,
    get connections() {
      return connections
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function stream(response: ServerResponse, said: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  let left = EVENTS
  const sendNext = (): void => {
    response.write(`data: ${said}\n\n`)
    if (--left > 0) return
    clearInterval(timer)
    response.end()
  }
  const timer = setInterval(sendNext, EVENT_EVERY_MS)
  response.once('close', () => clearInterval(timer))
  sendNext()
}

export interface FacesParts {
  readonly facilitatorUrl: string
  readonly storeFile: string
  readonly apis: Readonly<Record<Face, { readonly url: string }>>
  /** Fields of `server`, each after a comma. */
  readonly server?: string
}

/** The configuration of one face: prices, upstream, headers, CORS and facilitator client differ. */
export function faceYaml(face: Face, parts: FacesParts): string {
  const { storeFile, apis, server = '', facilitatorUrl } = parts
  const amount = PRICE[face]
  const price = `$0.00${amount[0]}`
  const priced = `price: ${price}, description: ${face}, settle`
  const yaml = weatherYaml(
    { facilitator: { url: facilitatorUrl }, api: apis[face] },
    {
      server: `publicUrl: "http://api.example.com", hosts: ["*"]${server}`,
      top: `version: 1
admin: {listen: 127.0.0.1:0}
store: {url: "sqlite:${storeFile}"}
cors: {origins: ["${originOf(face)}"]}`,
      routes: `
  /face: free
  GET /events: free
  /paid: {${priced}: on-response}
  GET /up-front: {${priced}: before-upstream}
  GET /paid/events: {${priced}: on-response}`,
    },
  )
  return yaml
    .replace(
      `upstreams: {weather: {url: "${apis[face].url}"}}`,
      `upstreams: {${face}: {url: "${apis[face].url}", headers: {x-face: ${face}}}}`,
    )
    .replace(
      `facilitators: ["${facilitatorUrl}"]`,
      `facilitators: [{url: "${facilitatorUrl}", timeout: ${face === 'red' ? 8 : 9}s}]`,
    )
}
