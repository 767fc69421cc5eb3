import { describe, expect, it, vi } from 'vitest';
import { matrixCsv, recordsCsv, recordsJson } from './export';
import { pictureSheet } from './sheet';

describe('CSV', () => {
  it('quotes names and never starts a formula', () => {
    const csv = matrixCsv({
      rows: ['x,y', '=1+1', 'dead'],
      columns: ['say "hi"'],
      values: Float64Array.of(0.5, 0.25, NaN),
    });
    expect(csv).toBe(',"say ""hi"""\n"x,y",0.5\n\'=1+1,0.25\ndead,\n');
  });
});

describe('lists as files', () => {
  it('never start a formula, whatever a name holds', () => {
    const csv = recordsCsv([
      { layer: '=HYPERLINK("x")', value: -0.5, note: '@SUM(1)' },
      { layer: '+1', value: NaN, note: null },
      { layer: '-1', value: 2, note: 'plain, with a comma' },
    ]);
    expect(csv.split('\n')).toEqual([
      'layer,value,note',
      '"\'=HYPERLINK(""x"")",-0.5,\'@SUM(1)',
      "'+1,,",
      '\'-1,2,"plain, with a comma"',
      '',
    ]);
  });

  it('say in JSON what they are of', () => {
    expect(JSON.parse(recordsJson({ layer: 'conv' }, [{ unit: 3 }]))).toEqual({
      layer: 'conv',
      records: [{ unit: 3 }],
    });
  });

  it('hold their pictures, and names as text', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('x')));
    vi.stubGlobal(
      'FileReader',
      class {
        result = 'data:image/png;base64,eA==';
        onload: () => void = () => undefined;
        readAsDataURL(): void {
          this.onload();
        }
      },
    );
    const pictures = [{ address: 'job_image?id=1', lines: ['<script>alert(1)</script>'] }];
    const svg = await pictureSheet(pictures, 'of <b>', () => '#123456');
    vi.unstubAllGlobals();
    expect(svg).toContain('href="data:image/png;base64,eA=="');
    expect(svg).not.toMatch(/<script|<b>|job_image/);
  });
});
