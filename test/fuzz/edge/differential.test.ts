import { expect, test } from 'vitest'
import { whyNoNginx } from '../../support/nginx.ts'
import { expectAgreement, readCourse } from './course.ts'
import { fuzzEdge } from './differential.ts'
import { type Parser, plainParser } from './parsers.ts'

const protocol = 'HTTP/1.1'
const { seconds, seed } = readCourse()

test(
  'whatever bytes come, the upstream sees no request that parsers disagree about',
  async () => {
    const report = await expectAgreement(protocol, { seconds, seed })
    expect(report.tunnels).toBeGreaterThan(report.runs / 50)
    const parsers = ['node:http, lenient', 'undici', 'RFC 9112']
    expect(report.parsers).toEqual(whyNoNginx() === null ? [...parsers, 'nginx'] : parsers)
  },
  seconds * 1_000 + 30_000,
)

test('bytes that reach the upstream as they come are found out', async () => {
  const passing = fuzzEdge({ protocol, seconds: 15, seed, instead: async upstream => upstream })
  await expect(passing).rejects.toMatchObject({ cause: { name: 'DisagreementError' } })
}, 30_000)

test('one parser that knows no chunks is found out', async () => {
  const plain = plainParser()
  const planted: Parser = bytes =>
    plain(
      Buffer.from(
        bytes.toString('latin1').replaceAll(/^transfer-encoding:.*\r\n/gim, ''),
        'latin1',
      ),
    )
  await expect(fuzzEdge({ protocol, seconds: 15, seed, planted })).rejects.toMatchObject({
    cause: { message: expect.stringMatching(/^planted reads /) },
  })
}, 30_000)
