/**
 * What stands behind every contestant: an API and a facilitator. Both do as little as they can, so
 * that what is measured is the way to them.
 */
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'

const [apiPort, facilitatorPort] = process.argv.slice(2).map(Number)
/** In lower case: whoever else pays has no money. Default: everybody has. */
const richPayer = process.argv[4]
const asked = { verify: 0, refused: 0, settle: 0 }

/** A JSON body of 1 KiB exactly. */
const body = JSON.stringify({ city: 'oslo', data: 'x'.repeat(1024) }).replace(/x+/, filler =>
  filler.slice(JSON.stringify({ city: 'oslo', data: '' }).length),
)
const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`
const kept = Buffer.from(`${head}\r\n${body}`)
const closed = Buffer.from(`${head}Connection: close\r\n\r\n${body}`)

createServer({ noDelay: true }, socket => {
  let rest = ''
  socket.setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    const requests = (rest + chunk).split('\r\n\r\n')
    rest = requests.pop() ?? ''
    for (const request of requests) {
      if (/\r\nconnection: close/i.test(request)) socket.end(closed)
      else socket.write(kept)
    }
  })
}).listen(apiPort, '127.0.0.1')

const supported = JSON.stringify({
  kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:84532' }],
  extensions: [],
  signers: {},
})
let settled = 0

createHttpServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const answer = Buffer.from(
      answerTo(request.url ?? '', Buffer.concat(chunks).toString('latin1')),
    )
    const type = ['Content-Type', 'application/json', 'Content-Length', String(answer.length)]
    response.writeHead(200, type)
    response.end(answer)
  })
}).listen(facilitatorPort, '127.0.0.1')

/** As abuse.ts forges signatures: the only thing about one that is looked at here. */
function isForged(text: string): boolean {
  return text.includes(`${'11'.repeat(32)}1b`)
}

function answerTo(path: string, text: string): string {
  const payer = /"from":"(0x[0-9A-Fa-f]{40})"/.exec(text)?.[1] ?? ''
  switch (path) {
    case '/supported':
      return supported
    case '/asked':
      return JSON.stringify(asked)
    case '/verify':
      asked.verify++
      if (richPayer === undefined || (richPayer === payer.toLowerCase() && !isForged(text))) {
        return JSON.stringify({ isValid: true, payer })
      }
      asked.refused++
      return JSON.stringify({ isValid: false, invalidReason: 'insufficient_funds', payer })
    default: {
      asked.settle++
      const transaction = `0x${(++settled).toString(16).padStart(64, '0')}`
      return JSON.stringify({ success: true, transaction, network: 'eip155:84532', payer })
    }
  }
}
