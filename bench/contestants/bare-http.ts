/** The least that a Node.js server does for an answer: always the same one. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [port, answerFile = ''] = process.argv.slice(2)
const { status, headers, body } = JSON.parse(readFileSync(answerFile, 'utf8'))
const bytes = Buffer.from(body)

const server = createServer((_request, response) => {
  response.writeHead(status, headers)
  response.end(bytes)
})
server.keepAliveTimeout = 75_000
server.listen(Number(port), '127.0.0.1')
