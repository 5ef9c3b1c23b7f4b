#!/bin/sh
# Makes the binary files here from their sources; needs LibreOffice. The results are committed, so tests do not.
set -eu
cd "$(dirname "$0")"
convert() {
    soffice --headless "-env:UserInstallation=file://$PROFILE" --convert-to "$1" "$2" > /dev/null 2>&1
}
PROFILE=$(mktemp -d)
trap 'rm -rf "$PROFILE"' EXIT
for format in odt doc docx rtf; do convert "$format" letter.fodt; done
for format in ods xls xlsx; do convert "$format" budget.fods; done
for format in odp ppt pptx; do convert "$format" talk.fodp; done
