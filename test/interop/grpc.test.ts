import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import {
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seller } from '../support/accounts.ts'
import { type CertificateAuthority, createAuthority } from '../support/certificates.ts'
import { startTestGateway, startWorld, type TestGateway, type World } from '../support/gateway.ts'
import { ask, connectHttp2 } from '../support/http2-client.ts'
import { readChallenge, signChallenge } from '../support/payments.ts'

/** Messages are text: what the bytes mean is none of the gateway's business. */
const method = (name: string, requestStream: boolean, responseStream: boolean) =>
  ({
    path: `/weather.Weather/${name}`,
    requestStream,
    responseStream,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: String,
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: String,
  }) satisfies MethodDefinition<string, string>

const SERVICE = {
  Now: method('Now', false, false),
  Forecast: method('Forecast', false, true),
  Report: method('Report', true, false),
  Talk: method('Talk', true, true),
  Paid: method('Paid', false, false),
}

let world: World
let authority: CertificateAuthority
let server: Server
let brief: Http2Server
let gateway: TestGateway
let client: Client

beforeAll(async () => {
  world = await startWorld()
  authority = await createAuthority()
  const pair = await authority.issue()
  server = startServer()
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, found: number) => (error ? reject(error) : resolve(found))
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound)
  })
  const yaml = `
server: {listen: "127.0.0.1:0", tls: {cert: tls.crt, key: tls.key}}
payTo: "${seller.address}"
accepts: [base-sepolia]
facilitators: ["${world.facilitator.url}"]
upstreams:
  weather: {url: "http://127.0.0.1:${port}", http2: true}
  brief: {url: "${await startBrief()}", http2: true}
routes:
  POST /weather.Weather/Paid: {price: $0.001, upstream: weather}
  POST /weather.Weather/Kept: {price: $0.001, upstream: brief, replay: {}}
  POST /weather.Weather/*: {price: free, upstream: weather}
`
  gateway = await startTestGateway(yaml, {
    async prepare(folder) {
      await writeFile(`${folder}/tls.crt`, pair.cert)
      await writeFile(`${folder}/tls.key`, pair.key)
    },
  })
  const secure: ChannelCredentials = credentials.createSsl(Buffer.from(authority.cert))
  // It does not check a certificate against an address.
  client = new Client(new URL(gateway.url).host, secure, {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.default_authority': 'localhost',
  })
})

afterAll(async () => {
  client?.close()
  await gateway?.close()
  server?.forceShutdown()
  brief?.close()
  await world?.close()
})

function startServer(): Server {
  const made = new Server()
  made.addService(SERVICE, {
    Now(
      call: { request: string },
      done: (error: Partial<ServiceError> | null, text?: string) => void,
    ) {
      if (call.request === 'nowhere') done({ code: status.NOT_FOUND, details: 'no such city' })
      else done(null, `sunny in ${call.request}`)
    },
    Paid(
      call: { request: string },
      done: (error: Partial<ServiceError> | null, text?: string) => void,
    ) {
      if (call.request === 'nowhere') done({ code: status.NOT_FOUND, details: 'no such city' })
      else done(null, `paid in ${call.request}`)
    },
    Forecast(call: { request: string; write(text: string): void; end(trailers: Metadata): void }) {
      for (const day of [1, 2, 3]) call.write(`${call.request} ${day}`)
      const trailers = new Metadata()
      trailers.set('x-days', '3')
      call.end(trailers)
    },
    Report(call: AsyncIterable<string>, done: (error: null, text: string) => void) {
      const texts: string[] = []
      void (async () => {
        for await (const text of call) texts.push(text)
        done(null, texts.join('+'))
      })()
    },
    Talk(call: {
      on(event: string, listener: (text: string) => void): void
      write(text: string): void
      end(): void
    }) {
      call.on('data', text => call.write(`re: ${text}`))
      call.on('end', () => call.end())
    },
  })
  return made
}

/** A server whose every answer is "Trailers-Only". */
async function startBrief(): Promise<string> {
  brief = createServer()
  brief.on('stream', (stream: ServerHttp2Stream) =>
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true }),
  )
  brief.listen(0, '127.0.0.1')
  await once(brief, 'listening')
  return `http://127.0.0.1:${(brief.address() as AddressInfo).port}`
}

function unary(name: 'Now' | 'Paid', request: string, metadata = new Metadata()): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = SERVICE[name]
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      (error, text) => (error === null ? resolve(text ?? '') : reject(error)),
    )
  })
}

describe('gRPC through the gateway', () => {
  test('a unary call, and one that fails before a message', async () => {
    expect(await unary('Now', 'paris')).toBe('sunny in paris')
    await expect(unary('Now', 'nowhere')).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: 'no such city',
    })
  })

  test('a stream of messages from the server, and its trailers', async () => {
    const { path, requestSerialize, responseDeserialize } = SERVICE.Forecast
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, 'rome')
    const ended = once(call, 'status')
    expect(await call.toArray()).toEqual(['rome 1', 'rome 2', 'rome 3'])
    const [end] = await ended
    expect(end.code).toBe(status.OK)
    expect(end.metadata.get('x-days')).toEqual(['3'])
  })

  test('a stream of messages from the client', async () => {
    const { path, requestSerialize, responseDeserialize } = SERVICE.Report
    const answer = new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        (error, text) => (error === null ? resolve(text) : reject(error)),
      )
      for (const text of ['a', 'b', 'c']) call.write(text)
      call.end()
    })
    expect(await answer).toBe('a+b+c')
  })

  test('messages both ways, each answered before the next is sent', async () => {
    const { path, requestSerialize, responseDeserialize } = SERVICE.Talk
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    for (const text of ['one', 'two']) {
      call.write(text)
      const [reply] = await once(call, 'data')
      expect(reply).toBe(`re: ${text}`)
    }
    const ended = once(call, 'status')
    call.end()
    expect((await ended)[0].code).toBe(status.OK)
  })
})

describe('a priced gRPC call', () => {
  const request = (path: string) => ({
    ...{ ':method': 'POST', ':path': path, ':authority': 'localhost' },
  })

  const signed = async (path: string): Promise<string> => {
    const session = await connectHttp2(gateway.url, { ca: authority.cert })
    const { status: code, headers, body } = await ask(session, request(path), '')
    expect(code).toBe(402)
    session.destroy()
    const required = { 'payment-required': String(headers['payment-required']) }
    const challenge = readChallenge(new Response(body, { status: 402, headers: required }))
    return signChallenge(world.chain, challenge)
  }

  const payment = async (): Promise<Metadata> => {
    const metadata = new Metadata()
    metadata.set('payment-signature', await signed(SERVICE.Paid.path))
    return metadata
  }

  test('that is not paid is UNKNOWN to its client, as gRPC maps 402', async () => {
    await expect(unary('Paid', 'paris')).rejects.toMatchObject({ code: status.UNKNOWN })
  })

  test('that is paid is answered, and charged once', async () => {
    await world.startCounting()
    expect(await unary('Paid', 'paris', await payment())).toBe('paid in paris')
    expect(await world.earned()).toBe(1_000n)
  })

  test('that fails before a message costs nothing', async () => {
    await world.startCounting()
    await expect(unary('Paid', 'nowhere', await payment())).rejects.toMatchObject({
      code: status.NOT_FOUND,
    })
    expect(await world.earned()).toBe(0n)
  })

  test('whose answer ends with its head keeps that end, also when it is given again', async () => {
    const path = '/weather.Weather/Kept'
    const paid = { ...request(path), 'payment-signature': await signed(path) }
    const session = await connectHttp2(gateway.url, { ca: authority.cert })
    const whole = { status: 200, body: '', endsWithHead: true, trailers: null }
    const first = await ask(session, paid, '')
    expect(first).toMatchObject({ ...whole, headers: { 'grpc-status': '0' } })
    const again = await ask(session, paid, '')
    expect(again).toMatchObject({ ...whole, headers: { 'farebox-replayed': 'true' } })
    session.destroy()
  })
})
