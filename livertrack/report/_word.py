"""The style of a Word report: pandoc's own reference document with rules and sizes for tables."""

from __future__ import annotations

import io
import subprocess
import zipfile

#: replaced in the styles of pandoc's reference document (half points, twentieths of a point)
_CHANGES = (
    (
        '<w:sz w:val="24" />\n        <w:szCs w:val="24" />',
        '<w:sz w:val="21"/><w:szCs w:val="21"/>',
    ),
    ('<w:spacing w:before="180" w:after="180" />', '<w:spacing w:before="100" w:after="100" />'),
)
_TABLE = """
    <w:pPr><w:spacing w:before="10" w:after="10"/></w:pPr>
    <w:rPr><w:sz w:val="17"/><w:szCs w:val="17"/></w:rPr>
    <w:tblPr>
      <w:tblBorders>
        <w:top w:val="single" w:sz="8"/><w:bottom w:val="single" w:sz="8"/>
        <w:insideH w:val="single" w:sz="2" w:color="C8CDD2"/>
      </w:tblBorders>"""
_STYLES = """
  <w:style w:type="paragraph" w:customStyle="1" w:styleId="Notes">
    <w:name w:val="Notes"/><w:basedOn w:val="BodyText"/><w:qFormat/>
    <w:pPr><w:spacing w:before="20" w:after="40"/></w:pPr>
    <w:rPr><w:color w:val="4A5560"/><w:sz w:val="16"/><w:szCs w:val="16"/></w:rPr>
  </w:style>
  <w:style w:type="paragraph" w:customStyle="1" w:styleId="Callout">
    <w:name w:val="Callout"/><w:basedOn w:val="BodyText"/><w:qFormat/>
    <w:pPr>
      <w:pBdr><w:left w:val="single" w:sz="18" w:space="8" w:color="3B6C8E"/></w:pBdr>
      <w:ind w:left="240"/>
    </w:pPr>
  </w:style>
</w:styles>"""


def reference_document(pandoc: str) -> bytes:
    """Return the reference document of pandoc with the report's styles, always the same bytes."""
    done = subprocess.run(
        [pandoc, "--print-default-data-file", "reference.docx"], capture_output=True, check=True
    )
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(done.stdout)) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name == "word/styles.xml":
                content = _styled(content.decode("utf-8")).encode("utf-8")
            target.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return made.getvalue()


def _styled(styles: str) -> str:
    for old, new in _CHANGES:
        styles = styles.replace(old, new, 1)
    start = styles.index('w:styleId="Table"')
    table = styles[start:].replace("<w:tblPr>", _TABLE.strip(), 1)
    return (styles[:start] + table).replace("</w:styles>", _STYLES.strip(), 1)
